"""Pretraining: configuration, network, training run, validation and reports."""
