"""What can be known about a recipe before hours are spent on it."""
