"""What the demos need beside the commands that they run."""
