"""From preference pairs to a better model: losses, steps, the plain batch, reference, checkpoints, the training loop.

It sees pairs and pictures, never a run folder's layout, so it serves a user's own pairs as well as ours.
"""
