"""The rounds: what `sena evolve` does from images to evidence, step by step, each step kept and never done twice."""
