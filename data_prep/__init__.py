"""Builds TFRecord data sets from photos, videos and the paper's data sets."""

import selfsup.common.warning_filters  # noqa: F401
