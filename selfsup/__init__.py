"""Self-supervised tasks, their shared trunk and the loop that trains them."""

import selfsup.common.quiet  # noqa: F401
