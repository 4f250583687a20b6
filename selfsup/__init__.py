"""Multi-task self-supervised learning: tasks, their shared trunk and its training."""

import selfsup.common.warning_filters  # noqa: F401
