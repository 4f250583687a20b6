"""The tables of `python -m tests.benchmarks`, a module for each."""
