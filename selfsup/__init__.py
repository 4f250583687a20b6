"""Self-supervised tasks, their shared trunk and the loop that trains them."""

import selfsup.quiet  # noqa: F401
