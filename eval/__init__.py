"""Evaluations of a pretrained trunk (paper section 5)."""

import selfsup.quiet  # noqa: F401
