"""Evaluations of a pretrained trunk (paper section 5)."""

import selfsup.common.quiet  # noqa: F401
