"""A pretraining run: configuration, network, training, reports."""
