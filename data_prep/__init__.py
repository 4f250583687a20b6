"""Builders of TFRecord data sets."""

import selfsup.quiet  # noqa: F401
