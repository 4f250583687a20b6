"""Builders of TFRecord data sets."""

import selfsup.common.quiet  # noqa: F401
