"""Measures whether a network still learns: dead units, and the size of the updates.

Neither needs help from a task, a head or a trunk. Dead units come from the graph of a
forward pass (`dead_units`), updates from the slots of the optimizer.
"""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from selfsup.hybrid import executors
from selfsup.pretraining.network import MultiTaskNetwork

# A warning is given if this share of a layer's units is dead.
MANY_DEAD = 0.25
# A warning is given if the ratio of update to weights of the trunk or a head is outside
# of these bounds. About 1e-3 is usual (https://cs231n.github.io/neural-networks-3/#ratio).
# Single layers are not checked: the last layer of a head starts near zero, so that its
# ratio is large at first.
MIN_UPDATE_RATIO, MAX_UPDATE_RATIO = 1e-6, 0.03
_PARTS = ("trunk", "head")


@dataclasses.dataclass(frozen=True)
class Health:
    """The state of a task's network at one time.

    Names of layers begin with "trunk/" or "head/".

    Attributes:
      dead_units: (number of dead units, number of units) by layer.
      updates: (norm of the last update, norm of the kernel) by layer.
    """

    dead_units: dict[str, tuple[int, int]]
    updates: dict[str, tuple[float, float]]

    def scalars(self) -> dict[str, float]:
        """Returns the scalars for the log.

        Returns:
          "dead_units/LAYER", the share of dead units from 0 to 1, and
          "update_ratio/LAYER", the norm of the update divided by the norm of the
          kernel. As LAYER, "trunk" and "head" stand for all of their layers together. A
          ratio with the denominator zero is 0.
        """
        dead = {layer: _ratio(*counts) for layer, counts in self.dead_units.items()}
        ratios = {layer: _ratio(*norms) for layer, norms in self.updates.items()}
        for part in _PARTS:
            counts = _layers_of(part, self.dead_units)
            if counts:
                dead[part] = _ratio(*(sum(column) for column in zip(*counts)))
            norms = _layers_of(part, self.updates)
            if norms:
                ratios[part] = _ratio(*(math.hypot(*column) for column in zip(*norms)))
        # Four digits are enough, and a deep trunk has two hundred scalars.
        return {
            f"{kind}/{layer}": float(f"{value:.4g}")
            for kind, values in (("dead_units", dead), ("update_ratio", ratios))
            for layer, value in values.items()
        }

    def warnings(self, setting: str) -> dict[str, str]:
        """Returns a line for the user for each problem; empty if all is well.

        Args:
          setting: names what sets the learning rate, and its value now.

        Returns:
          lines by the name of the problem, such as "dead units".
        """
        return {**self._dead_unit_warning(setting), **self._update_warnings(setting)}

    def _dead_unit_warning(self, setting: str) -> dict[str, str]:
        many = [
            (_ratio(*counts), counts[1], layer)
            for layer, counts in self.dead_units.items()
            if _ratio(*counts) >= MANY_DEAD
        ]
        if not many:
            return {}
        share, units, layer = max(many)
        others = f" (and many of {len(many) - 1} other layers)" if many[1:] else ""
        return {
            "dead units": f"{share:.0%} of the {units} units of {layer}{others} are dead: "
            "they were zero at every position of a held-out batch. Dead units rarely "
            f"recover. Start again with a lower {setting}"
        }

    def _update_warnings(self, setting: str) -> dict[str, str]:
        scalars = self.scalars()
        warnings = {}
        for part in _PARTS:
            ratio = scalars.get(f"update_ratio/{part}")
            if ratio is None or MIN_UPDATE_RATIO <= ratio <= MAX_UPDATE_RATIO:
                continue
            # A ratio that is not a number counts as large.
            size, advice = (
                ("small", "higher") if ratio < MIN_UPDATE_RATIO else ("large", "lower")
            )
            warnings[f"{size} updates of the {part}"] = (
                f"a step changes the weights of the {part} by {ratio:.2g} of their "
                f"norm; about 0.001 is usual. Try a {advice} {setting}"
            )
        return warnings


def examine(
    network: MultiTaskNetwork,
    name: str,
    dead_units: Mapping[str, npt.NDArray[np.bool_]],
    updates: Iterable[tuple[tf.Variable, tf.Variable]],
) -> Health:
    """Determines the `Health` of a task's network.

    Args:
      network: the network.
      name: the task.
      dead_units: bool [C] by layer, see `ReluOutputs.dead_units`; empty without a batch
        to find them on.
      updates: see `update_norms`.
    """
    trunk, head = network.trunk.name + "/", network.heads[name].name + "/"

    def place(layer: str) -> str:
        if layer.startswith(trunk):
            return "trunk/" + layer[len(trunk) :]
        return "head/" + (layer[len(head) :] if layer.startswith(head) else layer)

    counts = {
        place(layer): (int(np.sum(dead)), int(np.size(dead)))
        for layer, dead in dead_units.items()
    }
    norms = update_norms(updates)
    return Health(counts, {place(layer): pair for layer, pair in norms.items()})


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _layers_of(
    part: str, values: Mapping[str, tuple[float, float]]
) -> Sequence[tuple[float, float]]:
    return [value for layer, value in values.items() if layer.startswith(part + "/")]


def update_norms(
    updates: Iterable[tuple[tf.Variable, tf.Variable]],
) -> dict[str, tuple[float, float]]:
    """Computes the norms of the last updates of the kernels, and of the kernels.

    Scales, offsets and biases are left out, because they start at zero or have only one
    number for each channel. The norms are computed on the devices of the variables, so
    that little is transferred.

    Args:
      updates: pairs of a variable and what the last step subtracted from it.

    Returns:
      (norm of the update, norm of the kernel) by the name of the kernel's layer.
    """
    by_device = collections.defaultdict(list)
    for variable, update in updates:
        if variable.shape.rank > 1:
            by_device[variable.device].append((variable, update))
    norms: dict[str, tuple[float, float]] = {}
    # An executor of its own: errors of operations that were started on a machine that
    # has died since must not appear here.
    with executors.isolated():
        for device, pairs in by_device.items():
            with tf.device(device):
                squares = tf.stack(
                    [2.0 * tf.nn.l2_loss(each) for pair in pairs for each in pair]
                )
            values = tf.sqrt(tf.reshape(squares, [-1, 2])).numpy().tolist()
            for (variable, _), (weight, update) in zip(pairs, values):
                scope, _, name = variable.name.partition(":")[0].rpartition("/")
                layer = scope or name
                # A layer may have several kernels.
                before = norms.get(layer, (0.0, 0.0))
                norms[layer] = (
                    math.hypot(before[0], update),
                    math.hypot(before[1], weight),
                )
    return norms
