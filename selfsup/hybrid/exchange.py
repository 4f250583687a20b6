"""Pulls master variables to the replicas, and pushes sums of gradients back.

Without the options of `TransferOptions`, each value is sent from its server once per
replica, and each gradient once from each replica.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import tensorflow as tf

# Key of the tensors in arrival times that keep the graph from being pruned.
DEPENDENCIES = "dependencies"
# Times by server, and `DEPENDENCIES`.
Arrivals = dict[str, Union[tf.Tensor, list[tf.Tensor]]]


class Exchange:
    """Transfers values between some master variables and replicas on fixed devices."""

    def __init__(
        self,
        masters: Sequence[tf.Variable],
        devices: Sequence[str],
        hosts: Sequence[Sequence[str]],
        dtype: tf.DType,
    ) -> None:
        """Makes the exchange.

        Args:
          masters: the master variables.
          devices: the devices of the replicas, all different.
          hosts: the same devices grouped by host; the first device of a host forwards
            values and sums for the others.
          dtype: type of the values in transfer.
        """
        self._masters = masters
        self._devices = devices
        self._hosts = hosts
        self._dtype = dtype

    def pull(self) -> list[list[tf.Tensor]]:
        """Reads the master variables once.

        Returns:
          for each device, the value of each master variable, of the transfer's dtype.
        """
        values = []
        for master in self._masters:
            with tf.device(master.device):
                values.append(tf.cast(master.read_value(), self._dtype))
        pulled = dict.fromkeys(self._devices, values)
        for relay, *others in self._hosts:
            if others:
                with tf.device(relay):
                    relayed = [tf.identity(value) for value in values]
                pulled.update(dict.fromkeys([relay, *others], relayed))
        return [pulled[device] for device in self._devices]

    def push(
        self, parts: Sequence[Sequence[tf.Tensor | None]], timed: bool = False
    ) -> tuple[list[tf.Tensor | None], list[Arrivals]]:
        """Sums what the replicas push, each sum on the device of its master variable.

        Args:
          parts: for each device, a tensor or None for each master variable.
          timed: whether to measure when the parts arrive.

        Returns:
          (sums, arrivals): for each master variable a float32 tensor, or None if all its
          parts are None; and for each device the result of `_arrivals`, which is empty
          unless `timed`.
        """
        by_device = dict(zip(self._devices, parts))
        arrivals: dict[str, Arrivals] = {}
        pushed = []
        for host in self._hosts:
            sums = self._sum_on_host(host, [by_device[device] for device in host])
            pushed.append(sums)
            times = _arrivals(self._masters, sums) if timed else {}
            arrivals.update(dict.fromkeys(host, times))
        totals = [
            _sum_at(master.device, parts_of_hosts)
            for master, parts_of_hosts in zip(self._masters, zip(*pushed))
        ]
        return totals, [arrivals[device] for device in self._devices]

    def _sum_on_host(
        self, host: Sequence[str], parts: Sequence[Sequence[tf.Tensor | None]]
    ) -> Sequence[tf.Tensor | None]:
        """Sums the parts of the replicas of a host on its first device."""
        if len(parts) == 1:
            return parts[0]
        with tf.device(host[0]):
            return [
                None if gradients[0] is None else tf.cast(_sum(gradients), self._dtype)
                for gradients in zip(*parts)
            ]


def _arrivals(
    masters: Sequence[tf.Variable], pushed: Sequence[tf.Tensor | None]
) -> Arrivals:
    """Measures when the pushed values have arrived.

    Returns:
      dict by server of the time when all values for it had arrived: float64 seconds
      since the epoch by the server's clock. Under `DEPENDENCIES`, scalars that depend
      on the values: if they are not fetched too, TensorFlow removes from the graph the
      waiting for values that nothing else uses.
    """
    by_server: dict[str, list[tf.Tensor]] = {}
    for master, value in zip(masters, pushed):
        if value is not None:
            by_server.setdefault(master.device, []).append(value)
    times: Arrivals = {}
    dependencies = []
    for server, values in by_server.items():
        with tf.device(server):
            touched = [
                tf.cast(tf.reshape(value, [-1])[0], tf.float32) for value in values
            ]
            dependencies.append(tf.add_n(touched))
            with tf.control_dependencies(touched):
                times[server] = tf.timestamp()
    times[DEPENDENCIES] = dependencies
    return times


def _sum_at(device: str, parts: Sequence[tf.Tensor | None]) -> tf.Tensor | None:
    if parts[0] is None:
        return None
    with tf.device(device):
        return _sum(parts)


def _sum(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the float32 sum, on the current device."""
    parts = [tf.cast(part, tf.float32) for part in parts]
    # The identity moves a single part to the current device.
    return tf.add_n(parts) if len(parts) > 1 else tf.identity(parts[0])
