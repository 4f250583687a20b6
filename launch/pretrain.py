"""Pretrains one trunk on several self-supervised tasks jointly.

Photos and videos built by data_prep go in; checkpoints, curves and pictures come out.
Running the same command again goes on from the newest checkpoint.

  python -m launch.pretrain --data=DIR --model_dir=DIR --preset=tiny

What goes in and out: --data --model_dir
What is trained:      --tasks --task_weights --preset --task_set --trunk_set
The paper's options:  --harmonize --lasso --rmsprop
How long:             --steps --costs --end_cost --snapshot_cost --checkpoint_seconds
How it is computed:   --mixed_precision --seed
Where:                --groups --aggregation --logical_cpus --listen, and TF_CONFIG on a
                      cluster
What travels:         --wire --sum_in_host
Lost machines:        --step_seconds
What takes the time:  --trace_steps
Damaged data:         --max_lost_fraction
"""

import os

from absl import flags

from selfsup import tasks
from selfsup.command_line import command, path_flags
from selfsup.hybrid import assignment
from selfsup.pretraining import presets, step_costs

_DATA = path_flags.define_path(
    "data", None, "Folder at or below which the built data sets are.", required=True
)
_MODEL_DIR = path_flags.define_path(
    "model_dir", None, "Folder of the run: checkpoints, curves, config.", required=True
)
_TASKS = flags.DEFINE_list(
    "tasks",
    list(presets.DEFAULT_TASKS),
    f"Tasks to train jointly, of: {', '.join(tasks.REGISTRY)}.",
)
_PRESET = flags.DEFINE_enum(
    "preset",
    "paper",
    list(presets.PRESETS),
    "Hyperparameters: "
    + "; ".join(f"{name}: {one.description}" for name, one in presets.PRESETS.items())
    + ".",
)
_STEPS = flags.DEFINE_integer(
    "steps",
    None,
    "Steps of a task of weight 1; the preset's when not given.",
    lower_bound=1,
)
_TASK_WEIGHTS = flags.DEFINE_list(
    "task_weights",
    [],
    "TASK=NUMBER,...: steps of a task in proportion; 1 for those not named.",
)
_TASK_SET = flags.DEFINE_multi_string(
    "task_set", [], "TASK.KEY=VALUE: overrides a task's config field; may be repeated."
)
_TRUNK_SET = flags.DEFINE_multi_string(
    "trunk_set", [], "KEY=VALUE: overrides a trunk config field; may be repeated."
)
_LASSO = flags.DEFINE_float(
    "lasso",
    0.0,
    "Weight of the L1 penalty on alpha (paper section 3.2); 0 feeds the last unit of "
    "block 3 to every head.",
    lower_bound=0.0,
)
_HARMONIZE = flags.DEFINE_bool(
    "harmonize",
    False,
    "Harmonise inputs (paper section 3.3): relative position sees lightness, like "
    "colorization.",
)
_MIXED_PRECISION = flags.DEFINE_bool(
    "mixed_precision", False, "Compute trunk and heads in bfloat16."
)
_RMSPROP = flags.DEFINE_string(
    "rmsprop",
    None,
    "RMSProp constants: scale_invariant or slim; the preset's when not given.",
)
_SEED = flags.DEFINE_integer("seed", 0, "Of everything random.", lower_bound=0)
_CHECKPOINT_SECONDS = flags.DEFINE_float(
    "checkpoint_seconds",
    600.0,
    "Most seconds of work that a crash may lose.",
    lower_bound=0.0,
)
_COSTS = flags.DEFINE_enum(
    "costs",
    step_costs.DEFAULT,
    list(step_costs.COSTS),
    "What a step costs on the cost clock (paper section 6.1): "
    + "; ".join(f"{name}: {text}" for name, text in step_costs.COSTS.items())
    + ".",
)
_SNAPSHOT_COST = flags.DEFINE_float(
    "snapshot_cost",
    None,
    "Keep a snapshot at each multiple of this cost, which is added up over the steps of "
    "all tasks and replicas, in the unit of --costs; 0: none; the preset's when not "
    "given.",
    lower_bound=0.0,
)
_END_COST = flags.DEFINE_float(
    "end_cost",
    None,
    "Cost at which the run ends; 0: never; the preset's when not given.",
    lower_bound=0.0,
)
_MAX_LOST_FRACTION = flags.DEFINE_float(
    "max_lost_fraction",
    0.01,
    "Records that damaged shards may lose, as a share of an epoch's or, where these are "
    "more, of the examples seen. Other records stand in for them; beyond it the run ends.",
    lower_bound=0.0,
    upper_bound=1.0,
)

_GROUPS = flags.DEFINE_list(
    "groups",
    [],
    "TASK:NUMBER,...: devices that train each task, synchronously; the tasks themselves "
    "never wait for each other. Without it, several GPUs are shared out evenly, which "
    "takes one or more a task (two or three are refused for the default four tasks), and "
    "on a single device the tasks take turns.",
)
_AGGREGATION = flags.DEFINE_enum(
    "aggregation",
    "hybrid",
    list(assignment.AGGREGATIONS),
    "How gradients are aggregated: "
    + "; ".join(f"{name}: {text}" for name, text in assignment.AGGREGATIONS.items())
    + " (paper section 4).",
)
_LOGICAL_CPUS = flags.DEFINE_integer(
    "logical_cpus",
    0,
    "Makes that many TensorFlow devices of the CPU, to try --groups on.",
    lower_bound=0,
)

_WIRE = flags.DEFINE_enum(
    "wire",
    "float32",
    ["float32", "bfloat16"],
    "With several devices: in what parameters and gradients travel between the master "
    "variables, which are float32 in any case, and the replicas.",
)
_SUM_IN_HOST = flags.DEFINE_bool(
    "sum_in_host",
    False,
    "On a cluster: a task's workers at one host name or address pull once between them "
    "and push the sum of their gradients.",
)
_TRACE_STEPS = flags.DEFINE_integer(
    "trace_steps",
    0,
    "Writes MODEL_DIR/trace.json, for chrome://tracing or ui.perfetto.dev: what the "
    "parts of so many steps of each group took, after its first few.",
    lower_bound=0,
)
_STEP_SECONDS = flags.DEFINE_float(
    "step_seconds",
    600.0,
    "With several devices: a step that takes longer hangs, and its group goes on with the "
    "devices that answer. The first step, which is traced, may take ten times as long.",
    lower_bound=0.1,
)

_LISTEN = flags.DEFINE_enum(
    "listen",
    "loopback",
    ["loopback", "network"],
    "On a cluster (TF_CONFIG), who may reach this process: this machine alone, or the "
    "network. TensorFlow's servers have no authentication: private networks alone.",
)


def main(_):
    """Reads the flags and runs."""
    from selfsup.common.stop_signals import StopSignals
    from selfsup.pretraining import configuration, devices
    from selfsup.pretraining.training_run import Pretraining

    config = configuration.resolve(
        _PRESET.value,
        _TASKS.value,
        task_overrides=_TASK_SET.value,
        weights=_TASK_WEIGHTS.value,
        trunk_overrides=_TRUNK_SET.value,
        harmonize=_HARMONIZE.value,
        mixed_precision=_MIXED_PRECISION.value,
        steps=_STEPS.value,
        rmsprop=_RMSPROP.value,
        lasso=_LASSO.value,
        seed=_SEED.value,
        checkpoint_seconds=_CHECKPOINT_SECONDS.value,
        snapshot_cost=_SNAPSHOT_COST.value,
        end_cost=_END_COST.value,
        max_lost_fraction=_MAX_LOST_FRACTION.value,
        aggregation=_AGGREGATION.value,
        costs=_COSTS.value,
    )
    _keep_details_of_losses()
    where, pool = _place(config)
    print(devices.describe(where, config))
    with StopSignals() as stop:
        run = Pretraining(
            config,
            _DATA.value,
            _MODEL_DIR.value,
            where,
            pool,
            _STEP_SECONDS.value,
            _wire(),
            _recorder(),
        )
        finished = run.run(stop)
    if finished:
        print(f"done: {_MODEL_DIR.value}")
    else:
        print(
            f"stopped by {stop.received} after a checkpoint; the same command goes on"
        )


def _keep_details_of_losses():
    from selfsup.hybrid import lost_device_log

    lost_device_log.keep_in(os.path.join(_MODEL_DIR.value, "lost_devices.log"))


def _wire():
    from selfsup.common.errors import UserError
    from selfsup.hybrid.cluster import tf_config
    from selfsup.hybrid.transfer import TransferOptions

    if not _SUM_IN_HOST.value:
        return TransferOptions(_WIRE.value)
    found = tf_config.from_environment()
    if found is None:
        raise UserError(
            "--sum_in_host: there is no cluster (TF_CONFIG is not set, or names no other "
            "process)"
        )
    return TransferOptions(_WIRE.value, lambda device: found.address_of(device)[0])


def _recorder():
    from selfsup.hybrid.timeline import Recorder

    if not _TRACE_STEPS.value:
        return None
    return Recorder(_TRACE_STEPS.value, os.path.join(_MODEL_DIR.value, "trace.json"))


def _place(config):
    """(assignment, pool) on this machine, or on the cluster of TF_CONFIG."""
    from selfsup.common.errors import UserError
    from selfsup.hybrid.cluster import tf_config
    from selfsup.pretraining import devices

    found = tf_config.from_environment()
    if found is None:
        if os.environ.get(tf_config.VARIABLE):
            print(
                f"{tf_config.VARIABLE} names no other process: training on this machine"
            )
        cpus = _LOGICAL_CPUS.value
        return devices.local_assignment(config, _GROUPS.value, cpus), None
    if found.job != tf_config.CHIEF:
        raise UserError(
            f"{tf_config.VARIABLE} says that this process is {found.job} {found.index}: "
            "run python -m launch.server in it"
        )
    from selfsup.hybrid.cluster import cluster_pool

    cluster_pool.connect(found, listen=_LISTEN.value)
    pool = cluster_pool.ClusterPool(found)
    return devices.cluster_assignment(config, _GROUPS.value, found), pool


def run():
    """Entry point of the console command."""
    command.run(main, "launch.pretrain")


if __name__ == "__main__":
    run()
