"""Reads TF-Slim resnet_v2 checkpoints into a trunk, block 4 and classifier."""

import re

import tensorflow as tf

from selfsup.common.errors import UserError

# What training leaves beside the weights: counters, and slots below a weight's name.
_SET_ASIDE = re.compile(
    r"(^|/)(global_step|beta[12]_power|mean_rgb)$"
    r"|/(RMSProp|Momentum|Adam|Adagrad|Adadelta|Ftrl|ExponentialMovingAverage)"
    r"(_\d+)?$"
)
_ROOT_KERNEL = re.compile(r"(?:(?P<scope>.*)/)?conv1/weights$")


def import_checkpoint(prefix, trunk, block4=None, logits=None):
    """Assigns all weights and statistics of a Slim checkpoint.

    Parts that are None are not wanted, and the checkpoint's weights for them are
    left alone. Everything else must match one to one; nothing is assigned unless it
    does.

    Args:
      prefix: checkpoint prefix, as `DIR/resnet_v2_101.ckpt`.
      trunk: a `Trunk` of the checkpoint's depth.
      block4: a `Block4`, or None.
      logits: a `Classifier`, or None.

    Raises:
      UserError: names the weights that are missing, match nothing or have another
        shape.
    """
    reader = _open(prefix)
    variables = slim_variables(trunk, block4, logits)
    unwanted = []
    if block4 is None:
        unwanted += ["block4/", "postnorm/"]
    if logits is None:
        unwanted += ["logits/"]
    stored = {
        name: (full_name, shape)
        for name, (full_name, shape) in _weights(prefix, reader).items()
        if not name.startswith(tuple(unwanted))
    }
    _check(prefix, stored, variables)
    for name, variable in variables.items():
        try:
            value = reader.get_tensor(stored[name][0])
        except tf.errors.OpError as error:
            raise UserError(f"{prefix}: cannot read {name}: {error.message}") from error
        variable.assign(value.reshape(variable.shape))


def checkpoint_classes(prefix):
    """Number of classes of the checkpoint's logits, or None where it has none."""
    weights = _weights(prefix, _open(prefix))
    if "logits/weights" not in weights:
        return None
    return weights["logits/weights"][1][-1]


def slim_variables(trunk, block4=None, logits=None):
    """Our variables by their Slim names, the network's own scope left out."""
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


def _unit(scope, unit):
    variables = _norm(f"{scope}/preact", unit.preact)
    if unit.shortcut is not None:
        variables.update(_conv(f"{scope}/shortcut", unit.shortcut))
    for name in ("conv1", "conv2", "conv3"):
        variables.update(_conv(f"{scope}/{name}", getattr(unit, name)))
    variables.update(_norm(f"{scope}/conv1/BatchNorm", unit.norm1))
    variables.update(_norm(f"{scope}/conv2/BatchNorm", unit.norm2))
    return variables


def _conv(scope, layer):
    variables = {f"{scope}/weights": layer.kernel}
    if layer.use_bias:
        variables[f"{scope}/biases"] = layer.bias
    return variables


def _norm(scope, layer):
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    return {f"{scope}/{name}": getattr(layer, name) for name in names}


def _open(prefix):
    try:
        return tf.compat.v1.train.NewCheckpointReader(prefix)
    except (ValueError, tf.errors.OpError) as error:
        raise UserError(
            f"{prefix}: no readable TensorFlow checkpoint with this prefix "
            f"(expected {prefix}.index beside its data files, or a V1 file): {error}"
        ) from error


def _weights(prefix, reader):
    """dict of name without the network's scope -> (full name, shape)."""
    shapes = reader.get_variable_to_shape_map()
    names = [name for name in shapes if not _SET_ASIDE.search(name)]
    roots = [_ROOT_KERNEL.match(name) for name in names if "/unit_" not in name]
    scopes = [match["scope"] or "" for match in roots if match]
    if len(scopes) != 1:
        raise UserError(
            f"{prefix}: not a Slim resnet_v2 checkpoint: expected one first "
            f"convolution named SCOPE/conv1/weights, found {len(scopes)}"
        )
    scope = f"{scopes[0]}/" if scopes[0] else ""
    return {name[_common(scope, name) :]: (name, shapes[name]) for name in names}


def _common(scope, name):
    return len(scope) if name.startswith(scope) else 0


def _check(prefix, stored, variables):
    """Raises UserError unless names and element counts match one to one."""
    missing = sorted(set(variables) - set(stored))
    unknown = sorted(set(stored) - set(variables))
    misshapen = [
        f"{name} is {stored[name][1]}, expected {_slim_shape(name, variable)}"
        for name, variable in variables.items()
        if name in stored and stored[name][1] != _slim_shape(name, variable)
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


def _slim_shape(name, variable):
    """Slim's shape of ours: its logits are a 1x1 convolution."""
    shape = variable.shape.as_list()
    return [1, 1, *shape] if name == "logits/weights" else shape
