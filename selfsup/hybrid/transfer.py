"""How values travel between the master variables and the replicas; no TensorFlow."""

import dataclasses
from typing import Callable, Optional

FLOAT32, BFLOAT16 = "float32", "bfloat16"
DTYPES = (FLOAT32, BFLOAT16)


@dataclasses.dataclass(frozen=True)
class TransferOptions:
    """Options that cut what travels.

    Attributes:
      dtype: of pulled values and pushed gradients; they are cast where they leave the
        device that has them. Master variables, slots and statistics stay float32.
      host_of: device name -> what names its host. The replicas of a host then pull
        once between them, and push the sum of their gradients; None: each for itself.
    """

    dtype: str = FLOAT32
    host_of: Optional[Callable] = None

    def __post_init__(self):
        if self.dtype not in DTYPES:
            raise ValueError(f"{self.dtype}: expected one of {DTYPES}")

    def hosts(self, devices):
        """The devices in lists by host, in order.

        Example:
          >>> TransferOptions(host_of=lambda device: device[0]).hosts(["a0", "b0", "a1"])
          [['a0', 'a1'], ['b0']]
        """
        if self.host_of is None:
            return [[device] for device in devices]
        found = {}
        for device in devices:
            found.setdefault(self.host_of(device), []).append(device)
        return list(found.values())
