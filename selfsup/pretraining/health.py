"""Signs that a network stops learning: dead units, and updates that are out of scale.

Neither needs anything from a task, a head or a trunk: rectifiers are found in the graph
that a forward pass traces, and updates in the optimizer's slots.
"""

from __future__ import annotations

import collections
import dataclasses
import math

import numpy as np
import tensorflow as tf

from selfsup.hybrid import executors

# Operations whose units are dead where they give nothing but zeros.
_RECTIFIERS = ("Relu", "Relu6")
# Operations that may stand between a layer and its ReLU.
_PASS_ON = ("Cast", "Identity")
# Shares of a layer's units that are worth a warning.
MANY_DEAD = 0.25
# Ratios of update to weights, of a whole trunk or head, outside of which there is a
# warning; a last layer alone has a larger one, as it starts near zero. About 1e-3 is
# usual (https://cs231n.github.io/neural-networks-3/#ratio).
LEAST_RATIO, MOST_RATIO = 1e-6, 0.03


@dataclasses.dataclass(frozen=True)
class Health:
    """What one look at a task's network found.

    Layers are named "trunk/..." or "head/...".

    Attributes:
      dead_units: (dead units, all units) by layer.
      updates: (norm of the last update, norm of the kernel) by layer.
    """

    dead_units: dict[str, tuple[int, int]]
    updates: dict[str, tuple[float, float]]

    def scalars(self) -> dict[str, float]:
        """What goes into the log: shares of dead units and ratios of updates to weights.

        Returns:
          dict of "dead_units/LAYER", 0 to 1, and "update_ratio/LAYER", 0 or more; the
          layers "trunk" and "head" are all of theirs together. Without units, or of
          weights that are zero, they are 0.
        """
        dead = {layer: _share(*counts) for layer, counts in self.dead_units.items()}
        ratios = {layer: _share(*norms) for layer, norms in self.updates.items()}
        for part in ("trunk", "head"):
            counts = _of_part(part, self.dead_units)
            if counts:
                dead[part] = _share(*(sum(column) for column in zip(*counts)))
            norms = _of_part(part, self.updates)
            if norms:
                ratios[part] = _share(*(math.hypot(*column) for column in zip(*norms)))
        # Four digits: a deep trunk has two hundred of them.
        return {
            f"{sign}/{layer}": float(f"{value:.4g}")
            for sign, values in (("dead_units", dead), ("update_ratio", ratios))
            for layer, value in values.items()
        }

    def warnings(self, setting: str) -> dict[str, str]:
        """A line for people by sign of trouble; none where all is well.

        Args:
          setting: the flag that sets the learning rate, and what it is now.
        """
        scalars, found = self.scalars(), {}
        many = [
            (_share(*counts), counts[1], layer)
            for layer, counts in self.dead_units.items()
            if _share(*counts) >= MANY_DEAD
        ]
        if many:
            share, units, layer = max(many)
            others = f" (and many of {len(many) - 1} other layers)" if many[1:] else ""
            found["dead units"] = (
                f"{share:.0%} of the {units} units of {layer}{others} are dead: they "
                "gave zero everywhere in a held-out batch. They rarely recover. Start "
                f"again with a lower {setting}"
            )
        for part in ("trunk", "head"):
            ratio = scalars.get(f"update_ratio/{part}")
            if ratio is None or LEAST_RATIO <= ratio <= MOST_RATIO:
                continue
            size, other = (
                ("large", "lower") if not ratio <= MOST_RATIO else ("small", "higher")
            )
            found[f"{size} updates of the {part}"] = (
                f"a step changes the weights of the {part} by {ratio:.2g} of their "
                f"norm; about 0.001 is usual. Try a {other} {setting}"
            )
        return found


def examine(
    network, name: str, dead_units: dict[str, np.ndarray], updates: list
) -> Health:
    """The `Health` of a task.

    Args:
      network: a `MultiTaskNetwork`.
      name: the task.
      dead_units: bool [C] by layer, as `Rectifiers.dead_units` names them; empty where
        there is no batch to count them on.
      updates: as of `update_norms`.
    """
    trunk, head = network.trunk.name + "/", network.heads[name].name + "/"

    def place(layer):
        if layer.startswith(trunk):
            return "trunk/" + layer[len(trunk) :]
        return "head/" + (layer[len(head) :] if layer.startswith(head) else layer)

    counts = {
        place(layer): (int(np.sum(dead)), int(np.size(dead)))
        for layer, dead in dead_units.items()
    }
    norms = update_norms(updates)
    return Health(counts, {place(layer): pair for layer, pair in norms.items()})


def _share(part, whole):
    return part / whole if whole else 0.0


def _of_part(part, values):
    return [value for layer, value in values.items() if layer.startswith(part + "/")]


class Rectifiers:
    """Finds the ReLUs that are traced in its block, whichever layer they are in.

    A context manager, to be entered while a `tf.function` is traced. It does not see
    the inside of functions that the block calls, such as `tf.recompute_grad`'s.
    """

    def __init__(self):
        self._graph = None
        self._operations_before = 0
        self._outputs = {}

    def __enter__(self) -> Rectifiers:
        self._graph = tf.compat.v1.get_default_graph()
        self._operations_before = len(self._graph.get_operations())
        return self

    def __exit__(self, *error):
        found = collections.defaultdict(list)
        for operation in self._graph.get_operations()[self._operations_before :]:
            if operation.type in _RECTIFIERS and operation.outputs[0].shape.rank:
                found[_layer_before(operation)].append(operation.outputs[0])
        self._outputs = dict(found)

    def dead_units(self) -> dict[str, tf.Tensor]:
        """Bool [C] by layer: the units that are zero at all positions of the batch.

        To be called in the graph of the block. A layer is named by the scope of what
        feeds the ReLU, such as "colorization_head/conv1"; of a layer that is called
        several times, a unit is dead where it is in every call.
        """
        return {
            layer: tf.reduce_all([_is_zero(output) for output in outputs], axis=0)
            for layer, outputs in self._outputs.items()
        }


def _layer_before(operation):
    """Scope of the operation that feeds this one; its own name where that has none."""
    source = operation.inputs[0].op
    while source.type in _PASS_ON:
        source = source.inputs[0].op
    scope, _, name = source.name.rpartition("/")
    return scope or name


def _is_zero(output):
    positions = list(range(output.shape.rank - 1))
    return tf.reduce_all(output <= 0, axis=positions)


def update_norms(
    updates: list[tuple[tf.Variable, tf.Variable]],
) -> dict[str, tuple[float, float]]:
    """Norms of what a step subtracted from each kernel, and of the kernel itself.

    Scales, offsets and biases are left out: they start at zero, or are one number a
    channel. Norms are computed where the variables are, so little travels.

    Args:
      updates: pairs of a variable and what the last step subtracted from it, as of
        `Group.last_updates`.

    Returns:
      (norm of the update, norm of the kernel) by the name of the kernel's layer.
    """
    by_device = collections.defaultdict(list)
    for variable, update in updates:
        if variable.shape.rank > 1:
            by_device[variable.device].append((variable, update))
    norms = collections.defaultdict(lambda: (0.0, 0.0))
    # What was begun on a machine that died meanwhile must not fail this.
    with executors.isolated():
        for device, pairs in by_device.items():
            with tf.device(device):
                squares = tf.stack(
                    [2.0 * tf.nn.l2_loss(one) for pair in pairs for one in pair]
                )
            values = tf.sqrt(tf.reshape(squares, [-1, 2])).numpy().tolist()
            for (variable, _), (weight, update) in zip(pairs, values):
                scope, _, own = variable.name.partition(":")[0].rpartition("/")
                # A layer may have several kernels.
                updates_so_far, weights_so_far = norms[scope or own]
                norms[scope or own] = (
                    math.hypot(updates_so_far, update),
                    math.hypot(weights_so_far, weight),
                )
    return dict(norms)
