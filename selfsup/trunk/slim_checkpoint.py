"""Reads TF-Slim resnet_v2 checkpoints into a trunk, block 4 and classifier."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import tensorflow as tf

from selfsup.common.errors import UserError

if TYPE_CHECKING:
    from selfsup.keras import keras
    from selfsup.trunk.block4 import Block4
    from selfsup.trunk.classifier import Classifier
    from selfsup.trunk.layers import BatchNorm, Conv2D
    from selfsup.trunk.residual import ResidualUnit
    from selfsup.trunk.resnet_v2 import ResNetV2

# Variables that training adds to the weights: counters, and optimizer slots, whose
# names continue the name of a weight.
_NOT_WEIGHTS = re.compile(
    r"(^|/)(global_step|beta[12]_power|mean_rgb)$"
    r"|/(RMSProp|Momentum|Adam|Adagrad|Adadelta|Ftrl|ExponentialMovingAverage)"
    r"(_\d+)?$"
)
_ROOT_KERNEL = re.compile(r"(?:(?P<scope>.*)/)?conv1/weights$")


class StoredWeight(NamedTuple):
    """A weight in a checkpoint.

    Attributes:
      full_name: name in the checkpoint, with the network's scope.
      shape: static shape.
    """

    full_name: str
    shape: list[int]


def import_checkpoint(
    prefix: str,
    trunk: ResNetV2,
    block4: Block4 | None = None,
    logits: Classifier | None = None,
) -> None:
    """Assigns all weights and moving statistics of a Slim checkpoint.

    The checkpoint's weights of parts that are None are ignored. All other weights must
    match one to one in name and shape; otherwise nothing is assigned.

    Args:
      prefix: checkpoint prefix, such as `DIR/resnet_v2_101.ckpt`.
      trunk: a `ResNetV2` of the checkpoint's depth.
      block4: a `Block4` of the checkpoint's depth, or None.
      logits: a `Classifier` with the checkpoint's number of classes, or None.

    Raises:
      UserError: if the checkpoint cannot be read or does not match. In the latter case
        the message names the weights that are missing, unknown or of another shape.
    """
    reader = _open(prefix)
    variables = slim_variables(trunk, block4, logits)
    ignored = []
    if block4 is None:
        ignored += ["block4/", "postnorm/"]
    if logits is None:
        ignored += ["logits/"]
    stored = {
        name: weight
        for name, weight in _weights(prefix, reader).items()
        if not name.startswith(tuple(ignored))
    }
    _check(prefix, stored, variables)
    for name, variable in variables.items():
        try:
            value = reader.get_tensor(stored[name].full_name)
        except tf.errors.OpError as error:
            raise UserError(f"{prefix}: cannot read {name}: {error.message}") from error
        variable.assign(value.reshape(variable.shape))


def checkpoint_classes(prefix: str) -> int | None:
    """Returns the number of classes of a checkpoint's logits, or None without logits.

    Raises:
      UserError: if there is no readable Slim resnet_v2 checkpoint with this prefix.
    """
    weights = _weights(prefix, _open(prefix))
    if "logits/weights" not in weights:
        return None
    return weights["logits/weights"].shape[-1]


def slim_variables(
    trunk: ResNetV2, block4: Block4 | None = None, logits: Classifier | None = None
) -> dict[str, tf.Variable]:
    """Returns the variables of the parts, keyed by their names in Slim.

    The names do not contain the scope of the whole network, such as `resnet_v2_101/`.
    """
    variables = _conv("conv1", trunk.conv1)
    blocks = {"block1": trunk.block1, "block2": trunk.block2, "block3": trunk.block3}
    if block4 is not None:
        blocks["block4"] = block4.units
        variables.update(_norm("postnorm", block4.postnorm))
    for block, units in blocks.items():
        for number, unit in enumerate(units, start=1):
            variables.update(_unit(f"{block}/unit_{number}/bottleneck_v2", unit))
    if logits is not None:
        variables.update(_conv("logits", logits.dense))
    return variables


def _unit(scope: str, unit: ResidualUnit) -> dict[str, tf.Variable]:
    """Variables of a residual unit, keyed by their names in Slim."""
    variables = _norm(f"{scope}/preact", unit.preact)
    if unit.shortcut is not None:
        variables.update(_conv(f"{scope}/shortcut", unit.shortcut))
    for name in ("conv1", "conv2", "conv3"):
        variables.update(_conv(f"{scope}/{name}", getattr(unit, name)))
    variables.update(_norm(f"{scope}/conv1/BatchNorm", unit.norm1))
    variables.update(_norm(f"{scope}/conv2/BatchNorm", unit.norm2))
    return variables


def _conv(scope: str, layer: Conv2D | keras.layers.Dense) -> dict[str, tf.Variable]:
    """Variables of a convolution or linear layer, keyed by their names in Slim."""
    variables = {f"{scope}/weights": layer.kernel}
    if layer.use_bias:
        variables[f"{scope}/biases"] = layer.bias
    return variables


def _norm(scope: str, layer: BatchNorm) -> dict[str, tf.Variable]:
    """Variables of a batch normalisation, keyed by their names in Slim."""
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    return {f"{scope}/{name}": getattr(layer, name) for name in names}


def _open(prefix: str) -> tf.compat.v1.train.NewCheckpointReader:
    """Opens a checkpoint; raises UserError if it cannot be read."""
    try:
        return tf.compat.v1.train.NewCheckpointReader(prefix)
    except (ValueError, tf.errors.OpError) as error:
        raise UserError(
            f"{prefix}: no readable TensorFlow checkpoint with this prefix "
            f"(expected {prefix}.index and its data files, or a V1 file): {error}"
        ) from error


def _weights(
    prefix: str, reader: tf.compat.v1.train.NewCheckpointReader
) -> dict[str, StoredWeight]:
    """Weights of a checkpoint, keyed by their names without the network's scope.

    Raises:
      UserError: if the checkpoint is not a Slim resnet_v2 checkpoint.
    """
    shapes = reader.get_variable_to_shape_map()
    names = [name for name in shapes if not _NOT_WEIGHTS.search(name)]
    roots = [_ROOT_KERNEL.match(name) for name in names if "/unit_" not in name]
    scopes = [match["scope"] or "" for match in roots if match]
    if len(scopes) != 1:
        raise UserError(
            f"{prefix}: not a Slim resnet_v2 checkpoint: expected exactly one variable "
            f"named SCOPE/conv1/weights outside of the units, but it has {len(scopes)}"
        )
    scope = f"{scopes[0]}/" if scopes[0] else ""
    # Names outside of the scope stay whole; they match no variable of the network.
    return {
        name[len(scope) :] if name.startswith(scope) else name: StoredWeight(
            name, shapes[name]
        )
        for name in names
    }


def _check(
    prefix: str, stored: dict[str, StoredWeight], variables: dict[str, tf.Variable]
) -> None:
    """Raises UserError unless names and shapes match one to one."""
    missing = sorted(set(variables) - set(stored))
    unknown = sorted(set(stored) - set(variables))
    misshapen = [
        f"{name} is {stored[name].shape}, expected {_slim_shape(name, variable)}"
        for name, variable in variables.items()
        if name in stored and stored[name].shape != _slim_shape(name, variable)
    ]
    problems = []
    for title, names in (
        ("missing from the checkpoint", missing),
        ("matching nothing in the network", unknown),
        ("of another shape", misshapen),
    ):
        if names:
            problems.append(f"{len(names)} weights {title}:\n  " + "\n  ".join(names))
    if problems:
        raise UserError(f"{prefix}: " + "\n".join(problems))


def _slim_shape(name: str, variable: tf.Variable) -> list[int]:
    """Shape of a variable in Slim, whose logits are a 1x1 convolution."""
    shape: list[int] = variable.shape.as_list()
    return [1, 1, *shape] if name == "logits/weights" else shape
