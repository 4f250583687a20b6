"""ImageNet with frozen weights (paper section 5): a linear layer on a trunk."""
