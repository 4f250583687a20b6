"""Training steps at the paper's sizes: slow, with about 10 GB of memory."""

import resource

import numpy as np
import pytest
from built_sets import write_set

from selfsup import tasks
from selfsup.common import history
from selfsup.common.stop_signals import StopSignals
from selfsup.data import manifest
from selfsup.export import from_run, trunk_export
from selfsup.hybrid.rmsprop import RMSPropConfig
from selfsup.pretraining import configuration, pretraining_run
from selfsup.pretraining.presets import DEFAULT_TASKS


@pytest.mark.slow
def test_the_paper_preset_takes_a_step_of_every_task_and_exports(tmp_path):
    data = tmp_path / "data"
    write_set(str(data / "photos"), [4], size=(320, 480))
    kind = manifest.VIDEO_FRAMES
    write_set(str(data / "videos"), [4], size=(240, 320), kind=kind)
    batches = [
        f"{name}.batch_size={tasks.task_class(name)().min_batch_size}"
        for name in DEFAULT_TASKS
    ]
    config = configuration.resolve(
        "paper", DEFAULT_TASKS, task_overrides=batches, steps=1, lasso=0.01
    )
    run = str(tmp_path / "run")
    training = pretraining_run.PretrainingRun(config, str(data), run)
    assert training.run(StopSignals())
    assert training.engine.steps() == dict.fromkeys(DEFAULT_TASKS, 1)
    heads = {
        name: sum(int(np.prod(v.shape)) for v in head.trainable_variables)
        for name, head in training.network.heads.items()
    }
    assert heads["colorization"] == pytest.approx(34.84e6, rel=1e-3)
    assert heads["relative_position"] == pytest.approx(61.16e6, rel=1e-3)
    assert training.network.trunk.count_params() == pytest.approx(27.56e6, rel=3e-3)
    losses = [row["loss"] for row in history.read(run) if "loss" in row]
    assert len(losses) == len(DEFAULT_TASKS)
    assert np.all(np.isfinite(losses))

    output = str(tmp_path / "trunk")
    from_run.export_run(run, output)
    assert trunk_export.load_trunk(output).num_units == 23
    _print_peak()


@pytest.mark.slow
def test_the_papers_imagenet_baseline_takes_a_step_and_exports_block4(tmp_path):
    data, run = str(tmp_path / "photos"), str(tmp_path / "run")
    write_set(data, [4], size=(320, 480))
    names, batch = ["imagenet_labels"], ["imagenet_labels.batch_size=2"]
    config = configuration.resolve("paper", names, task_overrides=batch, steps=1)
    training = pretraining_run.PretrainingRun(config, data, run)
    assert training.run(StopSignals())
    (row,) = [row for row in history.read(run) if "loss" in row]
    # At first the three classes are about equally likely.
    assert row["loss"] == pytest.approx(np.log(3), abs=1.5)
    assert row["learning_rate"] == pytest.approx(2e-5 / RMSPropConfig().warmup_steps)

    output = str(tmp_path / "trunk")
    from_run.export_run(run, output, output_stride=32)
    assert trunk_export.part_names(output) == ("trunk", "block4", "logits")
    block4 = trunk_export.load_block4(output)
    trainable = sum(int(np.prod(v.shape)) for v in block4.trainable_variables)
    assert trainable == pytest.approx(14.97e6, rel=1e-3)
    _print_peak()


def _print_peak():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak:.1f} GiB")
