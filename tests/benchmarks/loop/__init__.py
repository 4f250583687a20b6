"""Measures the distribution loop."""
