"""Fine-tuning on few labels: 1%, 10% and 100% of the photos of a labelled set."""
