"""Paths as people write them, such as `~/photos` or `gs://bucket/photos`."""

from __future__ import annotations

import os
import re

from selfsup.common.errors import UserError

# RFC 3986, section 3.1, with the two slashes that addresses of stores have.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def scheme(text: str) -> str:
    """The scheme of an address in lower case, such as "gs"; "" for a path."""
    found = _SCHEME.match(text)
    return found[1].lower() if found else ""


def local(text: str) -> str:
    """A path of this machine's file system, with a leading `~` or `~user` expanded.

    Raises:
      UserError: for an address (`gs://`, `s3://`, `file://`, any scheme) and for the home
        of a user who is not known here; the caller's message has to name the value.
    """
    found = scheme(text)
    if found == "file":
        raise UserError("expected a path without file://")
    if found:
        raise UserError(
            f"expected a path of this machine; {found}:// is the address of a store, "
            "which this command can neither read nor write. Copy what it is to read to "
            "this machine first; have it write to this machine and copy that afterwards"
        )
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        user = text.split("/", 1)[0]
        raise UserError(
            f"no home folder is known for {user}; for a name that begins with ~, give "
            f"./{text}"
        )
    return expanded


def readable(text: str) -> str:
    """A path as of `local`, or an address that a file system of TensorFlow's reads.

    Raises:
      UserError: as of `local`, and where TensorFlow has no file system of that scheme.
    """
    found = scheme(text)
    if found in ("", "file"):
        return local(text)
    # Late, as only such a value needs it.
    import tensorflow as tf

    known = tf.io.gfile.get_registered_schemes()
    if found not in known:
        raise UserError(
            f"TensorFlow has no file system for {found}:// here, only for "
            f"{', '.join(f'{name}://' for name in sorted(known) if name)}. Copy what it "
            "is to read to this machine first"
        )
    return text
