"""A replica group: it trains one task, synchronously inside (paper section 4)."""

import collections

import numpy as np
import tensorflow as tf

from selfsup.errors import UserError
from selfsup.hybrid.replica import LocalCopy, Master
from selfsup.hybrid.rmsprop import RMSProp


class Group:
    """One task with its own optimizer, stepping on its own iterators.

    A step is one `tf.function`: it runs the replicas' graphs side by side, averages
    their gradients where each master variable lives, and applies the task's RMSProp
    there, all of it or nothing.

    Attributes:
      steps: steps taken, skipped ones included; it is the input position as well.
      skipped: steps whose gradients were not finite; they left no trace.
      stand_ins: examples so far that stood in for lost records.
      damaged: indices of the shards that had lost them, as far as met since the start
        of the process.
    """

    # So many non-finite steps in a row are no accident of one batch.
    MAX_SKIPPED_IN_A_ROW = 20

    def __init__(self, workload, rmsprop_config=None, devices=()):
        """
        Args:
          workload: a `Workload`.
          rmsprop_config: an `RMSPropConfig`.
          devices: device names of the replicas; none to train on the master itself.
        """
        self.workload = workload
        self.optimizer = RMSProp(workload.master.variables, rmsprop_config)
        self.steps = 0
        self.skipped = 0
        self.stand_ins = 0
        self.damaged = set()
        self._skipped_in_a_row = 0
        self._iterators = None
        self._replicas = _make_replicas(workload, devices)
        self._by_server = _indices_by_device(workload.master.variables)
        self._step = tf.function(self._traced_step)

    @property
    def name(self):
        return self.workload.name

    def counters(self):
        """What has to be stored beside the variables to go on from here."""
        return {
            "steps": self.steps,
            "skipped": self.skipped,
            "stand_ins": self.stand_ins,
        }

    def restore(self, counters):
        """Goes back to `counters`; the input follows."""
        self.steps = counters["steps"]
        self.skipped = counters["skipped"]
        # Runs of version 0.1.0 did not count them.
        self.stand_ins = counters.get("stand_ins", 0)
        self._iterators = None

    def step(self):
        """Takes one step.

        Returns:
          dict of floats: the objective's scalars and "gradient_norm".

        Raises:
          UserError: when gradients stay non-finite.
        """
        if self._iterators is None:
            self._iterators = [self._open_input(one) for one in self._replicas]
        number = tf.constant(self.steps, tf.int32)
        finite, names_and_values, stand_ins = self._step(self._iterators, number)
        logs = {name: float(value) for name, value in names_and_values.items()}
        self.steps += 1
        self._count_stand_ins(stand_ins.numpy())
        self._count_skipped(bool(finite), logs)
        return logs

    def _open_input(self, replica):
        with tf.device(_host_of(replica.device)):
            position = self.steps * replica.replica.batch_size
            return iter(replica.replica.batches(position))

    def _count_stand_ins(self, shards):
        shards = shards[shards >= 0]
        self.stand_ins += len(shards)
        self.damaged.update(np.unique(shards).tolist())

    def _count_skipped(self, finite, logs):
        if finite:
            self._skipped_in_a_row = 0
            return
        self.skipped += 1
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= self.MAX_SKIPPED_IN_A_ROW:
            raise UserError(
                f"{self.name}: gradients were not finite {self._skipped_in_a_row} steps "
                f"in a row, the last at step {self.steps} with loss "
                f"{logs.get('loss')}; no such step was applied. A lower "
                f"learning rate (now {self.workload.learning_rate:g}) is the usual cure"
            )

    def _traced_step(self, iterators, number):
        outcomes = [
            replica.contribute(next(iterator), self._seed(index, number))
            for index, (replica, iterator) in enumerate(zip(self._replicas, iterators))
        ]
        gradients = self._mean_gradients(outcomes)
        norm = _global_norm(gradients)
        finite = tf.math.is_finite(norm)
        for outcome in outcomes:
            finite &= tf.math.is_finite(outcome.total)
        self._apply(gradients, finite)
        for replica, outcome in zip(self._replicas, outcomes):
            replica.settle(outcome, finite)
        logs = self._mean([outcome.logs for outcome in outcomes])
        stand_ins = tf.concat([outcome.stand_ins for outcome in outcomes], 0)
        return finite, {**logs, "gradient_norm": norm}, stand_ins

    def _seed(self, index, number):
        """Of a replica's random numbers in a step: another for each, none for one."""
        return tf.stack([tf.constant(self.workload.seed + index, tf.int32), number])

    def _weights(self):
        """The replicas' shares of the batch, which sum to 1."""
        sizes = [one.replica.batch_size for one in self._replicas]
        return [size / sum(sizes) for size in sizes]

    def _mean(self, dicts):
        """Mean of the replicas' dicts of scalars, by their shares."""
        if len(dicts) == 1:
            return dicts[0]
        return {
            key: tf.add_n([w * one[key] for w, one in zip(self._weights(), dicts)])
            for key in dicts[0]
        }

    def _mean_gradients(self, outcomes):
        """The gradients' mean by the replicas' shares, where each variable lives."""
        if len(outcomes) == 1:
            return outcomes[0].gradients
        weights = self._weights()
        means = []
        for index, variable in enumerate(self.workload.master.variables):
            parts = [outcome.gradients[index] for outcome in outcomes]
            if parts[0] is None:
                means.append(None)
                continue
            with tf.device(variable.device):
                means.append(tf.add_n([w * part for w, part in zip(weights, parts)]))
        return means

    def _apply(self, gradients, applied):
        """Applies RMSProp on each server, if `applied` says so."""
        variables = self.workload.master.variables
        for device, indices in self._by_server.items():

            def apply(indices=indices):
                self.optimizer.apply(
                    variables, gradients, self.workload.learning_rate, indices
                )

            with tf.device(device):
                tf.cond(applied, apply, lambda: None)


def _make_replicas(workload, devices):
    if not devices:
        return [Master(workload)]
    count = len(devices)
    return [
        LocalCopy(workload, device, index, count)
        for index, device in enumerate(devices)
    ]


def _indices_by_device(variables):
    """{device: indices of the variables there}."""
    found = collections.defaultdict(list)
    for index, variable in enumerate(variables):
        found[variable.device].append(index)
    return dict(found)


def _host_of(device):
    """The CPU of a device's machine, where its input pipeline runs."""
    if device is None:
        return None
    spec = tf.DeviceSpec.from_string(device)
    return spec.replace(device_type="CPU", device_index=0).to_string()


def _global_norm(gradients):
    """The norm over all gradients, each squared where it is."""
    squares = []
    for gradient in gradients:
        if gradient is not None:
            with tf.device(gradient.device):
                squares.append(tf.reduce_sum(tf.square(gradient)))
    return tf.sqrt(tf.add_n(squares))
