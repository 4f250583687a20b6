"""Flags that several builders share."""
