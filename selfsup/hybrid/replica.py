"""How a replica takes part in its group's step: traced into the group's one function."""

import dataclasses
from typing import Any

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one replica contributes to a step.

    Attributes:
      total: the scalar that was minimised.
      logs: dict of scalars.
      gradients: a tensor, or None, for each variable; of a `LocalCopy`, times its share.
      statistics: by how much the forward pass moved each statistic, times the share
        (`LocalCopy`), or what they were before it (`Master`).
      replacements: int32 [batch_size], see `Replica`.
      times: dict of float64 seconds, see `LocalCopy.contribute`; empty when not asked for.
    """

    total: Any
    logs: dict
    gradients: list
    statistics: list
    replacements: Any
    times: dict


class Master:
    """The master variables themselves as the only replica: nothing is copied.

    Right where groups take turns, as no other group moves them during the step.
    """

    def __init__(self, workload):
        self.replica = workload.master
        self.device = None

    def contribute(self, examples, seed):
        """Runs forward and backward; returns an `Outcome`."""
        model = self.replica.model
        before = [tf.identity(variable) for variable in model.statistics]
        total, logs, gradients = _gradients(model, examples, seed)
        marks = _stand_ins(self.replica, examples)
        return Outcome(total, logs, gradients, before, marks, {})

    def settle(self, before, applied):
        """Puts the statistics back where the step is not applied.

        The forward pass has moved them by the time that this is known.
        """

        def put_back():
            for variable, value in zip(self.replica.statistics, before):
                variable.assign(value)

        tf.cond(applied, lambda: None, put_back)


class LocalCopy:
    """A whole copy of the network on a device of its own: pulled from the master.

    Its computation is a function traced over the variables of the workload's model. It
    is called here with this copy's variables in their place: so replicas of one model
    cost one trace, however many there are.
    """

    def __init__(self, workload, device, index, count):
        self.device = device
        with tf.device(device):
            self.replica = workload.make_replica(index, count)
            _check_alike(workload, self.replica)
            traced_over = [*self.replica.variables, *self.replica.statistics]
            ours = [_like(variable) for variable in traced_over]
        self._wire_dtype = tf.as_dtype(workload.transfer.dtype)
        # A handle does not keep its variable alive.
        self._variables = ours
        self._handles = {
            id(theirs.handle): our.handle for theirs, our in zip(traced_over, ours)
        }

    def contribute(self, examples, seed, values, statistics, share, timed=False):
        """Takes the master's values, runs forward and backward.

        Args:
          examples: a batch.
          seed: int32 [2].
          values: the master variables', of the wire's dtype.
          statistics: likewise, float32.
          share: of this copy's examples among those of all replicas of the step.
          timed: whether to note times, all of the device's machine: "pulled", when the
            copy had all values, and "computed", when all gradients were there.

        Returns:
          an `Outcome`, with gradients of the wire's dtype.
        """
        key = (share, self._wire_dtype, timed)
        function = self.replica.model.function(
            key, lambda: self._function(share, timed)
        )
        arguments = (examples, seed, values, statistics)
        traced = function.get_concrete_function(
            *tf.nest.map_structure(_spec, arguments)
        )
        with tf.device(self.device):
            total, logs, gradients, moved, times = self._call(traced, arguments)
            marks = _stand_ins(self.replica, examples)
        return Outcome(total, logs, gradients, moved, marks, times)

    def _function(self, share, timed):
        """The `tf.function` of the computation, over the model's own variables."""
        model, dtype = self.replica.model, self._wire_dtype

        def compute(examples, seed, values, statistics):
            pulled = [*values, *statistics]
            assigned = [
                variable.assign(tf.cast(value, variable.dtype), read_value=False)
                for variable, value in zip(
                    [*model.variables, *model.statistics], pulled
                )
            ]
            times = {"pulled": _time_after(assigned)} if timed else {}
            total, logs, gradients = _gradients(model, examples, seed)
            gradients = [
                None if one is None else tf.cast(share * one, dtype)
                for one in gradients
            ]
            if timed:
                times["computed"] = _time_after(
                    [one for one in gradients if one is not None]
                )
            moved = [
                share * (variable.read_value() - value)
                for variable, value in zip(model.statistics, statistics)
            ]
            return total, logs, gradients, moved, times

        return tf.function(compute, autograph=False)

    def _call(self, traced, arguments):
        """Calls a function with this copy's variables in place of those traced over."""
        captured = [self._handles.get(id(one), one) for one in traced.captured_inputs]
        outputs = iter(
            tf.raw_ops.StatefulPartitionedCall(
                args=[*tf.nest.flatten(arguments), *captured],
                Tout=[output.dtype for output in traced.graph.outputs],
                f=traced,
            )
        )

        def next_output(spec):
            if spec is None:
                return None
            output = next(outputs)
            output.set_shape(spec.shape)
            return output

        return tf.nest.map_structure(next_output, traced.structured_outputs)


def _stand_ins(replica, examples):
    """int32 [batch_size], see `Replica`."""
    if replica.replacements is None:
        return tf.fill([replica.batch_size], -1)
    return replica.replacements(examples)


def _gradients(model, examples, seed):
    """(total, logs, gradients) of a model on a batch."""
    with tf.GradientTape() as tape:
        total, logs = model.objective(examples, seed)
    return total, logs, tape.gradient(total, model.variables)


def _time_after(tensors):
    """Seconds since the epoch, on this machine, when `tensors` were there."""
    with tf.control_dependencies(tensors), tf.device("/CPU:0"):
        return tf.timestamp()


def _spec(tensor):
    return tf.TensorSpec(tensor.shape, tensor.dtype)


def _like(variable):
    zeros = tf.zeros(variable.shape, variable.dtype)
    return tf.Variable(zeros, trainable=False)


def _check_alike(workload, replica):
    for ours, masters in (
        (replica.variables, workload.master.variables),
        (replica.statistics, workload.master.statistics),
    ):
        shapes = [variable.shape for variable in ours]
        if shapes != [variable.shape for variable in masters]:
            raise ValueError(
                f"{workload.name}: a copy's variables are not its master's"
            )
