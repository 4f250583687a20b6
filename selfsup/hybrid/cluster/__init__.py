"""Processes of a cluster: who they are, how they start, which of them are lost."""
