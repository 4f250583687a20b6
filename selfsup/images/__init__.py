"""Image operations in TensorFlow, mostly on batches."""
