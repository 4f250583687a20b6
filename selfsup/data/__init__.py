"""The record schema, manifests of data sets and the input pipeline."""
