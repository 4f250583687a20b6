"""Builders of TFRecord data sets."""
