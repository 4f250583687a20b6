"""ResNet-v2 trunk with atrous striding (paper section 3.1)."""
