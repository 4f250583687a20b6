"""Renders a procedural world, in the layouts of the original data sets."""
