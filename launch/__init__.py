"""Command-line binaries."""

import selfsup.common.warning_filters  # noqa: F401
