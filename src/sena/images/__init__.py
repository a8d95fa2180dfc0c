"""Where pictures come from, how they are decoded, drawn for a round, and spoiled."""
