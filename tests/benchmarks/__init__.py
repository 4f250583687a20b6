"""Benchmarks. Each prints Markdown tables of its measurements."""
