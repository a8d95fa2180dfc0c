"""Whoever answers or scores prompts: a local model, or a script of canned replies."""
