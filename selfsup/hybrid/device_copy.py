"""A copy of a task's network on one device, and its computation in a step."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from selfsup.hybrid.replica_set import Contribution, Times
from selfsup.hybrid.workload import Batch, Replica, Workload

_Outputs = tuple[
    tf.Tensor,
    dict[str, tf.Tensor],
    list[tf.Tensor],
    list[tf.Tensor],
    dict[str, tf.Tensor],
]


class DeviceCopy:
    """A replica with variables of its own, into which it copies the master's values.

    Its computation is a function that is traced over the variables of the replica's
    model. The copy calls the function with its own variables in their place, so all
    replicas of one model share a trace.

    Attributes:
      device: name of the device.
      replica: the `Replica`.
    """

    def __init__(self, workload: Workload, device: str, index: int, count: int) -> None:
        """Makes replica `index` of `count` on a device.

        Raises:
          ValueError: if replicas of the task cannot be made, or their variables have
            other shapes than the master's.
        """
        if workload.make_replica is None:
            raise ValueError(f"{workload.name}: this task trains without replicas")
        self.device = device
        with tf.device(device):
            self.replica = workload.make_replica(index, count)
            _check_shapes(workload, self.replica)
            traced_over = [*self.replica.variables, *self.replica.statistics]
            copies = [_zeros_like(variable) for variable in traced_over]
        self._transfer_dtype = tf.as_dtype(workload.transfer.dtype)
        # A handle does not keep its variable alive.
        self._variables = copies
        self._handles = {
            id(pattern.handle): copy.handle
            for pattern, copy in zip(traced_over, copies)
        }

    def contribute(
        self,
        batch: Batch,
        seed: tf.Tensor,
        values: Sequence[tf.Tensor],
        statistics: Sequence[tf.Tensor],
        share: float,
        timed: bool,
    ) -> Contribution:
        """Copies the master's values, and runs forward and backward.

        Args:
          batch: examples.
          seed: int32 [2].
          values: values of the master variables, of the transfer's dtype.
          statistics: values of the master statistics, float32.
          share: this replica's share of the examples of all replicas in the step.
          timed: whether to measure times by the clock of the device's machine:
            "pulled", when the copy had all values, and "computed", when all gradients
            were computed.

        Returns:
          the `Contribution` of this replica: gradients of the transfer's dtype, and the
          changes of the statistics by the forward pass, both multiplied by `share`.
        """
        key = (share, self._transfer_dtype, timed)
        function = self.replica.model.cached_function(
            key, lambda: self._function(share, timed)
        )
        arguments = (batch, seed, values, statistics)
        traced = function.get_concrete_function(
            *tf.nest.map_structure(_spec, arguments)
        )
        with tf.device(self.device):
            total, logs, gradients, changes, times = self._call(traced, arguments)
            replaced_shards = self.replica.damaged_shards(batch)
            finite = tf.math.is_finite(total)
        return Contribution(gradients, finite, logs, changes, replaced_shards, [times])

    def _function(
        self, share: float, timed: bool
    ) -> tf.types.experimental.PolymorphicFunction:
        """Makes the `tf.function` of the computation, over the model's own variables."""
        model, dtype = self.replica.model, self._transfer_dtype

        def compute(
            batch: Batch,
            seed: tf.Tensor,
            values: Sequence[tf.Tensor],
            statistics: Sequence[tf.Tensor],
        ) -> _Outputs:
            pulled = [*values, *statistics]
            assigned = [
                variable.assign(tf.cast(value, variable.dtype), read_value=False)
                for variable, value in zip(
                    [*model.variables, *model.statistics], pulled
                )
            ]
            times = {"pulled": _time_after(assigned)} if timed else {}
            total, logs, gradients = model.gradients(batch, seed)
            gradients = [
                None if gradient is None else tf.cast(share * gradient, dtype)
                for gradient in gradients
            ]
            if timed:
                times["computed"] = _time_after(
                    [gradient for gradient in gradients if gradient is not None]
                )
            changes = [
                share * (variable.read_value() - value)
                for variable, value in zip(model.statistics, statistics)
            ]
            return total, logs, gradients, changes, times

        return tf.function(compute, autograph=False)

    def _call(
        self,
        traced: tf.types.experimental.ConcreteFunction,
        arguments: tuple[Batch, tf.Tensor, Sequence[tf.Tensor], Sequence[tf.Tensor]],
    ) -> tuple[
        tf.Tensor,
        dict[str, tf.Tensor],
        list[tf.Tensor | None],
        list[tf.Tensor],
        Times,
    ]:
        """Calls a function with this copy's variables in place of the pattern's."""
        captured = [
            self._handles.get(id(tensor), tensor) for tensor in traced.captured_inputs
        ]
        outputs = iter(
            tf.raw_ops.StatefulPartitionedCall(
                args=[*tf.nest.flatten(arguments), *captured],
                Tout=[output.dtype for output in traced.graph.outputs],
                f=traced,
            )
        )

        def next_output(spec: tf.TensorSpec | None) -> tf.Tensor | None:
            if spec is None:
                return None
            output = next(outputs)
            output.set_shape(spec.shape)
            return output

        return tf.nest.map_structure(next_output, traced.structured_outputs)


def _time_after(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns when `tensors` were computed: seconds since the epoch by this machine."""
    with tf.control_dependencies(tensors), tf.device("/CPU:0"):
        return tf.timestamp()


def _spec(tensor: tf.Tensor) -> tf.TensorSpec:
    return tf.TensorSpec(tensor.shape, tensor.dtype)


def _zeros_like(variable: tf.Variable) -> tf.Variable:
    zeros = tf.zeros(variable.shape, variable.dtype)
    return tf.Variable(zeros, trainable=False)


def _check_shapes(workload: Workload, replica: Replica) -> None:
    for variables, masters in (
        (replica.variables, workload.master.variables),
        (replica.statistics, workload.master.statistics),
    ):
        shapes = [variable.shape for variable in variables]
        expected = [variable.shape for variable in masters]
        if shapes != expected:
            raise ValueError(
                f"{workload.name}: a replica has variables of shapes {shapes}, the "
                f"master has {expected}"
            )
