"""Builders of TFRecord data sets."""

import selfsup.common.warning_filters  # noqa: F401
