"""The training loop: one task a replica group (paper section 4)."""
