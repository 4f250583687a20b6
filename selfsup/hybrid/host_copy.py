"""A copy of all variables in this process's memory, from which checkpoints are written.

Groups wait while the copy is updated, but not while the checkpoint is written, and
parameter servers need no access to the disk of the checkpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from selfsup.hybrid.placement import local_cpu

if TYPE_CHECKING:
    from selfsup.hybrid.checkpoint import Trackable


class HostCopy:
    """The values that the variables of a trackable had at the last `update`.

    Attributes:
      trackable: the copy. It has the structure of the original, so a checkpoint of
        either can be restored into the other.
    """

    def __init__(self, original: Trackable) -> None:
        """Makes a copy of zeros.

        Args:
          original: a trackable whose variables all exist.
        """
        self._device = local_cpu()
        self._pairs: list[tuple[tf.Variable, tf.Variable]] = []
        # Keeps the originals too: an id is unique only while its object lives.
        self._copies: dict[int, tuple[Trackable | tf.Variable, Trackable]] = {}
        self.trackable = self._copy(original)
        self._update = tf.function(self._copy_values)

    def update(self) -> None:
        """Copies the values of all variables; the first call traces and is the slowest."""
        self._update()

    def _copy(self, original: Trackable | tf.Variable) -> Trackable:
        """Returns the copy of an object and of all objects below it; makes each once."""
        if id(original) not in self._copies:
            if isinstance(original, tf.Variable):
                self._copy_variable(original)
            else:
                self._copy_children(original)
        return self._copies[id(original)][1]

    def _copy_children(self, original: Trackable) -> None:
        copy = tf.train.Checkpoint()
        # Stored before its children are copied, because they may refer back to it.
        self._copies[id(original)] = original, copy
        for name, child in tf.train.TrackableView.children(original).items():
            setattr(copy, name, self._copy(child))

    def _copy_variable(self, original: tf.Variable) -> None:
        with tf.device(self._device):
            zeros = tf.zeros(original.shape, original.dtype)
            copy = tf.Variable(zeros, trainable=False)
        self._copies[id(original)] = original, copy
        self._pairs.append((original, copy))

    def _copy_values(self) -> None:
        with tf.device(self._device):
            for original, copy in self._pairs:
                copy.assign(original.read_value())
