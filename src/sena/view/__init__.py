"""A run's pages over all of its rows, on this machine alone: what `sena view` serves. No torch at import."""
