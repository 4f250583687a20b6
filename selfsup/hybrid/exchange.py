"""What passes between master variables and replicas: values pulled, sums pushed.

Each value leaves its server once for each replica, and each gradient a replica once; by
the options of `TransferOptions`, less.
"""

import tensorflow as tf

EVIDENCE = "evidence"


class Exchange:
    """Between the masters of some variables and replicas on fixed devices."""

    def __init__(self, masters, devices, hosts, dtype):
        """
        Args:
          masters: the master variables.
          devices: the replicas' devices, each another.
          hosts: those devices in lists; the first of a list relays for the others.
          dtype: of what travels, a `tf.DType`.
        """
        self._masters = masters
        self._devices = devices
        self._hosts = hosts
        self._dtype = dtype

    def pull(self):
        """The masters' values, for each device a list; read once, so all are alike."""
        read = []
        for master in self._masters:
            with tf.device(master.device):
                read.append(tf.cast(master.read_value(), self._dtype))
        pulled = dict.fromkeys(self._devices, read)
        for relay, *others in self._hosts:
            if others:
                with tf.device(relay):
                    relayed = [tf.identity(value) for value in read]
                pulled.update(dict.fromkeys([relay, *others], relayed))
        return [pulled[device] for device in self._devices]

    def push(self, parts, timed=False):
        """Sums of what the replicas push, each where its master lives.

        Args:
          parts: for each device a list with a tensor, or None, for each master.
          timed: whether to note when they arrive.

        Returns:
          (sums, arrivals): list of float32 tensors, or None where all are; and for each
          device the dict of `_arrivals`, empty if not `timed`.
        """
        by_device = dict(zip(self._devices, parts))
        arrived = {}
        pushed = []
        for host in self._hosts:
            pushed.append(self._sum_on_host(host, [by_device[one] for one in host]))
            times = _arrivals(self._masters, pushed[-1]) if timed else {}
            arrived.update(dict.fromkeys(host, times))
        sums = [
            _sum_at(master.device, of_master)
            for master, of_master in zip(self._masters, zip(*pushed))
        ]
        return sums, [arrived[device] for device in self._devices]

    def _sum_on_host(self, host, parts):
        """The parts of a host's replicas, summed by the first of them."""
        if len(parts) == 1:
            return parts[0]
        with tf.device(host[0]):
            return [
                None if of_master[0] is None else tf.cast(_sum(of_master), self._dtype)
                for of_master in zip(*parts)
            ]


def _arrivals(masters, pushed):
    """{server: float64 seconds, on its clock, when it had all that came to it}.

    And under `EVIDENCE`, scalars that depend on it all: unless they are fetched too,
    TensorFlow takes the waiting for values that nobody uses out of the graph.
    """
    by_server = {}
    for master, value in zip(masters, pushed):
        if value is not None:
            by_server.setdefault(master.device, []).append(value)
    times = {EVIDENCE: []}
    for server, values in by_server.items():
        with tf.device(server):
            touched = [tf.cast(tf.reshape(one, [-1])[0], tf.float32) for one in values]
            times[EVIDENCE].append(tf.add_n(touched))
            with tf.control_dependencies(touched):
                times[server] = tf.timestamp()
    return times


def _sum_at(device, parts):
    if parts[0] is None:
        return None
    with tf.device(device):
        return _sum(parts)


def _sum(parts):
    # An identity, for a single one: it fetches.
    parts = [tf.cast(part, tf.float32) for part in parts]
    return tf.add_n(parts) if len(parts) > 1 else tf.identity(parts[0])
