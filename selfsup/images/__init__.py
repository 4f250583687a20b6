"""Batched image operations in TensorFlow; no file is read here."""
