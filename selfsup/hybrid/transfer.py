"""How values travel between the master variables and the replicas; no TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Callable

from selfsup.common import checks

FLOAT32, BFLOAT16 = "float32", "bfloat16"
DTYPES = (FLOAT32, BFLOAT16)


@dataclasses.dataclass(frozen=True)
class TransferOptions:
    """Options that reduce the number of bytes sent per step.

    Attributes:
      dtype: type of the pulled values and of the pushed gradients, of `DTYPES`. Both are
        cast on the device that sends them. Master variables, slots and statistics stay
        float32.
      host_of: maps a device name to a name of its host. The replicas of one host then
        pull the values once, and push the sum of their gradients. If None, each replica
        pulls and pushes by itself.
    """

    dtype: str = FLOAT32
    host_of: Callable[[str], Hashable] | None = None

    def __post_init__(self) -> None:
        checks.require_choice("dtype", self.dtype, DTYPES)

    def hosts(self, devices: Sequence[str]) -> list[list[str]]:
        """Groups devices by host, in the order of their first device.

        Example:
          >>> TransferOptions(host_of=lambda device: device[0]).hosts(["a0", "b0", "a1"])
          [['a0', 'a1'], ['b0']]
        """
        if self.host_of is None:
            return [[device] for device in devices]
        by_host: dict[Hashable, list[str]] = {}
        for device in devices:
            by_host.setdefault(self.host_of(device), []).append(device)
        return list(by_host.values())
