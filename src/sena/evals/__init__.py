"""Benchmarks: what is asked, what is made of the replies, and the run that joins both with an engine."""
