"""Commands: pretraining, export, features, cluster processes and demos."""

import selfsup.common.quiet  # noqa: F401
