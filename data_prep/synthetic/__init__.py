"""A procedural world, rendered in the layouts of the data sets' owners."""
