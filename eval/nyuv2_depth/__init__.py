"""NYU v2 depth prediction (paper section 5, after Laina et al., 3DV 2016)."""
