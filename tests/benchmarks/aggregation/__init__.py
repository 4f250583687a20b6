"""Compares the modes of gradient aggregation on a small problem."""
