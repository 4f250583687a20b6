"""A replica group: it trains one task, synchronously inside (paper section 4)."""

import numpy as np
import tensorflow as tf

from selfsup.errors import UserError
from selfsup.hybrid.replica_set import ReplicaSet
from selfsup.hybrid.rmsprop import RMSProp


class Group:
    """One task with its own optimizer and counters, which outlive its replicas.

    Replicas come and go with the machines that they are on: `rebuild` makes new ones,
    of a new generation. A step of a generation that has passed changes nothing, however
    late it arrives.

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
        with tf.device(workload.master.variables[0].device):
            self._generation = tf.Variable(0, trainable=False, dtype=tf.int64)
            self._landed = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._replicas = self._new_replicas(0, devices)

    @property
    def name(self):
        return self.workload.name

    @property
    def generation(self):
        """Number of times that the replicas were rebuilt."""
        return self._replicas.generation

    @property
    def devices(self):
        """Device names of the replicas; empty when the master is the only one."""
        return self._replicas.devices

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
        self._landed.assign(self.steps)
        self._replicas.close_input()

    def pass_generation(self):
        """Makes sure that no step that is under way will land from now on.

        A step that landed without being counted, as its answer was lost, is counted.
        """
        self._generation.assign_add(1)
        self.steps = int(self._landed.read_value())

    def rebuild(self, devices):
        """Makes new replicas on `devices`; to be called after `pass_generation`."""
        generation = int(self._generation.read_value())
        self._replicas = self._new_replicas(generation, devices)

    def _new_replicas(self, generation, devices):
        return ReplicaSet(
            self.workload,
            self.optimizer,
            devices,
            generation,
            self._generation,
            self._landed,
        )

    def step(self):
        """Takes one step.

        Returns:
          dict of floats: the objective's scalars and "gradient_norm"; None when the
          step came too late, as its generation had passed.

        Raises:
          UserError: when gradients stay non-finite.
          tf.errors.OpError: when a device is lost.
        """
        replicas = self._replicas
        result = replicas.step(self.steps)
        if not result.current or replicas is not self._replicas:
            return None
        self.steps += 1
        self._count_stand_ins(result.stand_ins)
        self._count_skipped(result.finite, result.logs)
        return result.logs

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
