"""Groups the inputs that were set aside or repaired by their reasons."""

from __future__ import annotations

import collections
import re
from typing import NamedTuple

from selfsup.common.errors import UserError, error_reason

_MAX_LENGTH = 100


class ReasonCount(NamedTuple):
    """A reason and its inputs.

    Attributes:
      reason: the reason, without what differs between inputs.
      num_inputs: number of inputs with the reason.
      example: the key of an input.
    """

    reason: str
    num_inputs: int
    example: str


def count_reasons(path: str) -> list[ReasonCount]:
    """Counts the reasons in a list of inputs, the most frequent first.

    Args:
      path: file of lines of input, tab and reason. A missing file has no inputs.

    Raises:
      UserError: the file cannot be read.
    """
    counts: collections.Counter[str] = collections.Counter()
    examples: dict[str, str] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, text = line.rstrip("\n").partition("\t")
                reason = _generalized(text)
                counts[reason] += 1
                examples.setdefault(reason, key)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error_reason(error)}") from error
    return [
        ReasonCount(reason, count, examples[reason])
        for reason, count in counts.most_common()
    ]


def _generalized(reason: str) -> str:
    """Replaces the numbers and names in a reason, which differ between inputs."""
    reason = re.sub(r"0x[0-9a-f]+|\d+(\.\d+)?", "N", reason)
    return re.sub(r"'[^']*'|\"[^\"]*\"|\S*/\S+", "...", reason)[:_MAX_LENGTH]
