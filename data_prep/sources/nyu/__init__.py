"""NYU Depth v2 in its owners' formats, and other photos with depth."""
