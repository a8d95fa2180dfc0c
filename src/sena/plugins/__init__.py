"""What other programs load to reach a sena model: their names for it, our engine behind it."""
