"""Steps of the demos."""
