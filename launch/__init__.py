"""Commands: pretraining, export, features, cluster processes and demos."""

import selfsup.common.warning_filters  # noqa: F401
