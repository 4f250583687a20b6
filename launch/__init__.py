"""Command-line binaries."""

import selfsup.quiet  # noqa: F401
