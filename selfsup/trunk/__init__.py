"""The ResNet-v2 trunk with a variable output stride (paper section 3.1)."""
