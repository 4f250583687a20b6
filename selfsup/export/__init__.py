"""Exported trunks: SavedModels with a model card, from runs and from TF-Slim."""
