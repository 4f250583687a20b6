"""Pretrains one trunk jointly on several self-supervised tasks.

The input is photos and videos built by data_prep. The output is checkpoints, curves and
pictures. Run the same command again to resume from the newest checkpoint.

  python -m launch.pretrain --data=DIR --model_dir=DIR --preset=tiny

Input and output:     --data --model_dir
What is trained:      --tasks --task_weights --preset --task_set --trunk_set
The paper's options:  --harmonize --lasso --rmsprop
Its section 7:        --augment --weighting --group_lasso --group_units
How long:             --steps --costs --end_cost --snapshot_cost --checkpoint_seconds
How it is computed:   --mixed_precision --seed
Where:                --groups --aggregation --logical_cpus --listen, and TF_CONFIG on a
                      cluster
Network traffic:      --wire --sum_in_host
Lost machines:        --step_seconds
Measuring the speed:  --trace_steps
Damaged data:         --max_lost_fraction
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

from absl import flags

from launch import network_flags
from selfsup.command_line import command, path_flags
from selfsup.pretraining import configuration

if TYPE_CHECKING:
    from selfsup.hybrid.assignment import Assignment
    from selfsup.hybrid.cluster.cluster_pool import ClusterPool
    from selfsup.hybrid.timeline import Recorder
    from selfsup.hybrid.transfer import TransferOptions
    from selfsup.pretraining.configuration import Option, RunConfig

_DATA = path_flags.define_path(
    "data",
    None,
    "Folder that contains the built data sets, at any depth.",
    required=True,
)
_MODEL_DIR = path_flags.define_path(
    "model_dir",
    None,
    "Folder of the run: checkpoints, curves, configuration.",
    required=True,
)
flags.adopt_module_key_flags(network_flags)
_TASK_WEIGHTS = flags.DEFINE_list(
    "task_weights",
    [],
    "TASK=NUMBER,...: the steps of a task in proportion to the others; 1 if not given.",
)
_HARMONIZE = flags.DEFINE_bool(
    "harmonize",
    False,
    "Harmonise inputs (paper section 3.3): relative position sees lightness only, as "
    "colorization does.",
)


def _define(field: dataclasses.Field[Any], option: Option) -> flags.FlagHolder[Any]:
    """Defines the flag of a field of `RunConfig`."""
    default = None if field.default is dataclasses.MISSING else field.default
    if option.choices:
        return flags.DEFINE_enum(field.name, default, option.choices, option.help)
    if field.type == "bool":
        return flags.DEFINE_bool(field.name, default, option.help)
    if field.type == "str":
        return flags.DEFINE_string(field.name, default, option.help)
    define = flags.DEFINE_integer if field.type == "int" else flags.DEFINE_float
    # Any: a bound has the type of the field.
    bounds: dict[str, Any] = {
        "lower_bound": option.lower_bound,
        "upper_bound": option.upper_bound,
    }
    return define(field.name, default, option.help, **bounds)


# Flags of the fields of `RunConfig`, by name.
_OPTIONS = {name: _define(*pair) for name, pair in configuration.options().items()}

_GROUPS = flags.DEFINE_list(
    "groups",
    [],
    "TASK:NUMBER,...: how many devices train each task. The devices of a task take their "
    "steps together; different tasks never wait for each other. Default: several GPUs "
    "are shared out evenly, at least one for each task (so two or three GPUs are refused "
    "for the four default tasks); on a single device the tasks take turns.",
)
_LOGICAL_CPUS = flags.DEFINE_integer(
    "logical_cpus",
    0,
    "Split the CPU into this number of TensorFlow devices, to try --groups.",
    lower_bound=0,
)
_WIRE = flags.DEFINE_enum(
    "wire",
    "float32",
    ["float32", "bfloat16"],
    "With several devices: the type in which parameters and gradients travel between the "
    "master variables and the replicas. Master variables are always float32.",
)
_SUM_IN_HOST = flags.DEFINE_bool(
    "sum_in_host",
    False,
    "On a cluster: the workers of a task at the same host name or address pull the "
    "parameters only once, and push the sum of their gradients.",
)
_TRACE_STEPS = flags.DEFINE_integer(
    "trace_steps",
    0,
    "Write MODEL_DIR/trace.json for chrome://tracing or ui.perfetto.dev. It shows how "
    "long the parts of a step take, for this number of steps of each group after its "
    "first few.",
    lower_bound=0,
)
_STEP_SECONDS = flags.DEFINE_float(
    "step_seconds",
    600.0,
    "With several devices: a step that takes longer counts as hanging, and its group "
    "continues with the devices that answer. The first step, which is traced, may take "
    "ten times as long.",
    lower_bound=0.1,
)
_LISTEN = flags.DEFINE_enum(
    "listen",
    "loopback",
    ["loopback", "network"],
    "On a cluster (TF_CONFIG): who may reach this process, only this machine or the "
    "network. TensorFlow's servers have no authentication: use private networks only.",
)


def main(_: list[str]) -> None:
    """Reads the flags and trains."""
    from selfsup.common.stop_signals import StopSignals
    from selfsup.hybrid import lost_device_log
    from selfsup.pretraining import devices
    from selfsup.pretraining.pretraining_run import PretrainingRun

    config = network_flags.resolve(
        weights=_TASK_WEIGHTS.value,
        harmonize=_HARMONIZE.value,
        **{name: flag.value for name, flag in _OPTIONS.items()},
    )
    lost_device_log.keep_in(os.path.join(_MODEL_DIR.value, "lost_devices.log"))
    assignment, pool = _assign_devices(config)
    print(devices.describe(assignment, config))
    with StopSignals() as stop:
        run = PretrainingRun(
            config,
            _DATA.value,
            _MODEL_DIR.value,
            assignment,
            pool,
            _STEP_SECONDS.value,
            _transfer_options(),
            _recorder(),
        )
        finished = run.run(stop)
    if finished:
        print(f"done: {_MODEL_DIR.value}")
    else:
        print(
            f"stopped by {stop.received} after a checkpoint; run the same command again "
            "to resume"
        )


def _transfer_options() -> TransferOptions:
    from selfsup.common.errors import UserError
    from selfsup.hybrid.cluster import tf_config
    from selfsup.hybrid.transfer import TransferOptions

    if not _SUM_IN_HOST.value:
        return TransferOptions(_WIRE.value)
    cluster = tf_config.from_environment()
    if cluster is None:
        raise UserError(
            "--sum_in_host: this needs a cluster, but TF_CONFIG is not set, or names no "
            "other process"
        )
    return TransferOptions(_WIRE.value, lambda device: cluster.address_of(device)[0])


def _recorder() -> Recorder | None:
    from selfsup.hybrid.timeline import Recorder

    if not _TRACE_STEPS.value:
        return None
    return Recorder(_TRACE_STEPS.value, os.path.join(_MODEL_DIR.value, "trace.json"))


def _assign_devices(config: RunConfig) -> tuple[Assignment, ClusterPool | None]:
    """Assigns the devices of this machine, or those of the cluster of TF_CONFIG.

    Returns:
      (assignment, pool); the pool is None on this machine.
    """
    from selfsup.common.errors import UserError
    from selfsup.hybrid.cluster import tf_config
    from selfsup.pretraining import devices

    cluster = tf_config.from_environment()
    if cluster is None:
        if os.environ.get(tf_config.VARIABLE):
            print(
                f"{tf_config.VARIABLE} names no other process: training on this machine"
            )
        cpus = _LOGICAL_CPUS.value
        return devices.local_assignment(config, _GROUPS.value, cpus), None
    if cluster.job != tf_config.CHIEF:
        raise UserError(
            f"{tf_config.VARIABLE} says that this process is {cluster.job} "
            f"{cluster.index}; run python -m launch.server in it"
        )
    from selfsup.hybrid.cluster import cluster_pool

    cluster_pool.connect(cluster, listen=_LISTEN.value)
    pool = cluster_pool.ClusterPool(cluster)
    return devices.cluster_assignment(config, _GROUPS.value, cluster), pool


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "launch.pretrain")


if __name__ == "__main__":
    run()
