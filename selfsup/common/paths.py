"""Paths as users write them, such as `~/photos` or `gs://bucket/photos`."""

from __future__ import annotations

import os
import re

from selfsup.common.errors import UserError

# RFC 3986, section 3.1, followed by the two slashes of a storage address.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def scheme(text: str) -> str:
    """Returns the scheme of an address in lower case, such as "gs"; "" for a path."""
    match = _SCHEME.match(text)
    return match[1].lower() if match else ""


def local(text: str) -> str:
    """Returns a path of this machine, with a leading `~` or `~user` expanded.

    Raises:
      UserError: the text is an address (`gs://`, `s3://`, `file://`, any scheme), or the
        user after `~` is unknown here. The message does not name the flag or field.
    """
    prefix = scheme(text)
    if prefix == "file":
        raise UserError("expected a path without file://")
    if prefix:
        raise UserError(
            f"expected a path of this machine; {prefix}:// is the address of a store, "
            "which this command can neither read nor write. Copy input data to this "
            "machine first; let the command write to this machine and copy the result"
        )
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        user = text.split("/", 1)[0]
        raise UserError(
            f"{user} has no home folder on this machine; if the name itself begins with "
            f"~, write ./{text}"
        )
    return expanded


def readable(text: str) -> str:
    """Returns a local path, or an address that a file system of TensorFlow can read.

    Raises:
      UserError: see `local`; or TensorFlow has no file system for the scheme.
    """
    prefix = scheme(text)
    if prefix in ("", "file"):
        return local(text)
    # Imported here, because only addresses need it and the import takes seconds.
    import tensorflow as tf

    known = tf.io.gfile.get_registered_schemes()
    if prefix not in known:
        listed = ", ".join(f"{name}://" for name in sorted(known) if name)
        raise UserError(
            f"the installed TensorFlow cannot read {prefix}://, only {listed}. Copy the "
            "data to this machine first"
        )
    return text
