"""Self-supervised tasks, their shared trunk and the loop that trains them."""

import selfsup.common.warning_filters  # noqa: F401
