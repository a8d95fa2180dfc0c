"""What a person reads of a run: the page, the picture for a README, and what `sena show` prints. No torch at import."""
