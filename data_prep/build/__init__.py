"""Builds a data set from inputs: planned, sharded, resumable."""
