"""The data half of a round: from a shard of images to tables of pairs, and who does which shard."""
