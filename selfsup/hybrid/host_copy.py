"""A copy of all variables in this process's memory, from which a checkpoint is written.

Groups stand still while it is brought up to date, not while it is written; and
parameter servers need not see the disk that it is written to.
"""

import tensorflow as tf

from selfsup.hybrid.placement import local_cpu


class HostCopy:
    """The variables of a trackable as they were at the last `update`.

    Attributes:
      trackable: of the same shape as the original, so that a checkpoint of either
        restores the other.
    """

    def __init__(self, original):
        """
        Args:
          original: a trackable, whose variables all exist by now.
        """
        self._device = local_cpu()
        self._pairs = []
        # The originals too: an id is of one object only while that one lives.
        self._copies = {}
        self.trackable = self._copy(original)
        self._update = tf.function(self._copy_values)

    def update(self):
        """Copies all values to here; the first call traces, which takes longest."""
        self._update()

    def _copy(self, original):
        """The copy of an object and of all that is below it; each object has one."""
        if id(original) not in self._copies:
            if isinstance(original, tf.Variable):
                self._copy_variable(original)
            else:
                self._copy_children(original)
        return self._copies[id(original)][1]

    def _copy_children(self, original):
        copy = tf.train.Checkpoint()
        # Known before its children, which may lead back to it.
        self._copies[id(original)] = original, copy
        for name, child in tf.train.TrackableView.children(original).items():
            setattr(copy, name, self._copy(child))

    def _copy_variable(self, original):
        with tf.device(self._device):
            zeros = tf.zeros(original.shape, original.dtype)
            copy = tf.Variable(zeros, trainable=False)
        self._copies[id(original)] = original, copy
        self._pairs.append((original, copy))

    def _copy_values(self):
        with tf.device(self._device):
            for original, copy in self._pairs:
                copy.assign(original.read_value())
