"""Reports which devices can be used for training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class DevicePool(Protocol):
    """Devices that may fail during training and come back.

    `LocalPool` is that of a single process, `cluster_pool.ClusterPool` of a cluster.
    """

    def alive(self, devices: Sequence[str]) -> tuple[str, ...]:
        """Returns those of `devices` that answer, in the given order."""

    def check_servers(self) -> None:
        """Checks the devices that hold the master variables.

        Raises:
          UserError: if one of them does not answer or has lost its variables.
        """

    def is_device_failure(self, error: Exception) -> bool:
        """Returns whether an error that a step raised means that a device has failed."""


class LocalPool:
    """The devices of this process, a `DevicePool`; an error in any of them ends the run."""

    def alive(self, devices: Sequence[str]) -> tuple[str, ...]:
        """Returns all of `devices`."""
        return tuple(devices)

    def check_servers(self) -> None:
        """Does nothing."""

    def is_device_failure(self, error: Exception) -> bool:
        """Returns False."""
        del error
        return False
