"""The flags that all evaluations share; a main imports this and adopts them.

    flags.adopt_module_key_flags(evaluation_flags)

Only mains may read them.
"""

from absl import flags

from selfsup.command_line import path_flags

_TRUNK = path_flags.define_path(
    "trunk",
    None,
    "What is evaluated: folder of an exported trunk (of launch.export or "
    "launch.import_slim) or of a pretraining run, or random.",
    required=True,
)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint",
    None,
    "Of a pretraining run: name of a checkpoint or snapshot; the newest by default.",
)
_DATA = path_flags.define_path(
    "data", None, "Folder at or below which the built data set is.", required=True
)
_OUTPUT = path_flags.define_path(
    "output",
    None,
    "Folder for metrics.json, predictions, pictures, curves and checkpoints. Running "
    "the same command again goes on where an interrupted one stopped.",
    required=True,
)
_PRESET = flags.DEFINE_string(
    "preset",
    "paper",
    "Hyperparameters: paper (ResNet-101), small (ResNet-50, one GPU) or tiny (CPUs). The "
    "same for all trunks that are compared.",
)
_DEPTH = flags.DEFINE_string(
    "depth",
    None,
    "Depth of a random trunk: 50, 101, 152 or tiny; the preset's when not given. Others "
    "bring their own.",
)
_SET = flags.DEFINE_multi_string(
    "set", [], "KEY=VALUE: overrides a hyperparameter; may be repeated."
)
_LASSO = flags.DEFINE_float(
    "lasso",
    0.0,
    "Weight of the L1 penalty on the evaluation's own row of alpha, which combines the "
    "units of block 3 (paper section 3.2); 0 uses the last unit.",
    lower_bound=0.0,
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Of everything random.", lower_bound=0, upper_bound=2**31 - 8
)
_STEPS = flags.DEFINE_integer(
    "steps", None, "Training steps; as the preset says when not given.", lower_bound=1
)
_MIXED_PRECISION = flags.DEFINE_bool(
    "mixed_precision", False, "Compute the trunk in bfloat16."
)


def settings(config_class, presets):
    """The `Settings` of the flags' values; arguments as of `eval.settings.resolve`."""
    from eval.settings import resolve

    return resolve(
        config_class,
        presets,
        preset=_PRESET.value,
        depth=_DEPTH.value,
        steps=_STEPS.value,
        texts=_SET.value,
        trunk=_TRUNK.value,
        checkpoint=_CHECKPOINT.value,
        data=_DATA.value,
        output=_OUTPUT.value,
        lasso=_LASSO.value,
        seed=_SEED.value,
        mixed_precision=_MIXED_PRECISION.value,
    )
