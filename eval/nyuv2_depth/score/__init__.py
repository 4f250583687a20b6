"""Scores the predicted depth maps of any model against the true ones."""
