"""Every hyperparameter of a pretraining run; docs/hyperparameters.md has the sources.

Only what differs from the defaults of the trunk's and the tasks' config dataclasses,
which are the paper's, is listed.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named set of hyperparameters.

    Attributes:
      description: one line for people.
      trunk: overrides of `trunk.resnet_v2.TrunkConfig`.
      tasks: overrides of the tasks' configs by task.
      steps: steps of a task of weight 1.
      rmsprop: name in `hybrid.rmsprop.NAMED`.
      validation_batches: held-out batches a task is validated on, at most.
      validations: how often in a run.
    """

    description: str
    trunk: dict
    tasks: dict
    steps: int
    rmsprop: str = "scale_invariant"
    validation_batches: int = 20
    validations: int = 20


PRESETS = {
    "paper": Preset(
        description="ResNet-101-v2 and heads of the paper",
        trunk={"depth": "101"},
        tasks={},
        steps=1_000_000,
    ),
    "small": Preset(
        description="ResNet-50-v2 and narrower heads, for one GPU",
        trunk={"depth": "50"},
        tasks={
            "relative_position": {"fc_bottleneck_channels": 256},
            "colorization": {"head_channels": 1024},
            "motion_segmentation": {"head_channels": 1024},
        },
        steps=100_000,
    ),
    "tiny": Preset(
        description="a trunk of 0.25M parameters and small heads, for CPUs",
        trunk={"depth": "tiny"},
        tasks={
            "relative_position": {
                "batch_size": 16,
                "learning_rate": 3e-4,
                "unit1_channels": 128,
                "unit2_channels": 64,
                "bottleneck_channels": 32,
                "fc_bottleneck_channels": 64,
            },
            "colorization": {
                "batch_size": 16,
                "learning_rate": 3e-4,
                "image_size": 128,
                "head_channels": 256,
            },
            "exemplar": {
                "batch_size": 16,
                "learning_rate": 3e-4,
                "unit1_channels": 128,
                "unit2_channels": 64,
                "bottleneck_channels": 32,
            },
            "motion_segmentation": {
                "batch_size": 8,
                "learning_rate": 3e-4,
                "head_channels": 128,
            },
            "rotation": {
                "batch_size": 8,
                "learning_rate": 3e-4,
                "image_size": 96,
                "channels": 128,
                "bottleneck_channels": 32,
            },
        },
        steps=600,
        validation_batches=4,
        validations=6,
    ),
}
