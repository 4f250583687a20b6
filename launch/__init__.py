"""Command-line binaries."""

import selfsup.common.quiet  # noqa: F401
