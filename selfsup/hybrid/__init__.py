"""The training loop, with a replica group for each task (paper section 4)."""
