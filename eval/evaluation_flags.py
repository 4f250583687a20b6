"""The flags that all evaluations share. A main imports this module and adopts them:

    flags.adopt_module_key_flags(evaluation_flags)

Only mains may read the flags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from selfsup import trunk
from selfsup.command_line import path_flags

if TYPE_CHECKING:
    from eval.evaluation import AnyEvaluation
    from eval.settings import Config, Settings

_TRUNK = path_flags.define_path(
    "trunk",
    None,
    "The trunk to evaluate: the folder of an exported trunk (written by launch.export or "
    "launch.import_slim), the folder of a pretraining run, or the word random.",
    required=True,
)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint",
    None,
    "Name of a checkpoint or snapshot of the pretraining run; the newest checkpoint by "
    "default.",
)
_DATA = path_flags.define_path(
    "data",
    None,
    "Folder of the built data set, or a folder above it.",
    required=True,
)
_OUTPUT = path_flags.define_path(
    "output",
    None,
    "Folder for metrics.json, predictions, pictures, curves and checkpoints. Run the "
    "same command again to resume an interrupted evaluation.",
    required=True,
)
_PRESET = flags.DEFINE_string(
    "preset",
    "paper",
    "Hyperparameters: paper (ResNet-101), small (ResNet-50, one GPU) or tiny (CPUs). Use "
    "the same preset for all trunks that you compare.",
)
_TRUNK_KIND = flags.DEFINE_enum(
    "trunk_kind",
    "resnet_v2",
    list(trunk.REGISTRY),
    "Kind of a random trunk. A pretrained trunk keeps its own kind and depth.",
)
_DEPTH = flags.DEFINE_string(
    "depth",
    None,
    f"Depth of a random trunk, of: {trunk.describe()}. By default the depth of the "
    "preset, or the first depth of a kind that does not have it.",
)
_SET = flags.DEFINE_multi_string(
    "set", [], "KEY=VALUE: overrides a hyperparameter; may be repeated."
)
_LASSO = flags.DEFINE_float(
    "lasso",
    0.0,
    "Weight of the L1 penalty on the row of alpha that combines the units of the trunk for "
    "this evaluation (paper section 3.2); 0 reads the last unit instead.",
    lower_bound=0.0,
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of all random numbers.", lower_bound=0, upper_bound=2**31 - 8
)
_STEPS = flags.DEFINE_integer(
    "steps",
    None,
    "Number of training steps; the number in the preset by default.",
    lower_bound=1,
)
_MIXED_PRECISION = flags.DEFINE_bool(
    "mixed_precision", False, "Compute the trunk in bfloat16."
)


def settings(evaluation: type[AnyEvaluation]) -> Settings[Config]:
    """Resolves the flags into the settings of an evaluation.

    Args:
      evaluation: the class whose config and presets the flags refer to.

    Raises:
      UserError: for an unknown preset, depth or hyperparameter, or a bad value.
    """
    from eval.settings import resolve

    return resolve(
        evaluation.config_class,
        evaluation.presets,
        preset=_PRESET.value,
        depth=_DEPTH.value,
        trunk_kind=_TRUNK_KIND.value,
        steps=_STEPS.value,
        overrides=_SET.value,
        trunk=_TRUNK.value,
        checkpoint=_CHECKPOINT.value,
        data=_DATA.value,
        output=_OUTPUT.value,
        lasso=_LASSO.value,
        seed=_SEED.value,
        mixed_precision=_MIXED_PRECISION.value,
    )
