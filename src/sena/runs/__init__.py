"""The run folder: its layout, its tables, and who may work in it."""
