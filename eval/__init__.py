"""Evaluations of a pretrained trunk (paper section 5)."""
