"""Evaluations of a pretrained trunk (paper section 5)."""

import selfsup.common.warning_filters  # noqa: F401
