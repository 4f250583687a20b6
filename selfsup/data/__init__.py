"""TFRecord schema, manifests and the input pipeline."""
