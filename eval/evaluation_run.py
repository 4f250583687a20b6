"""Runs an evaluation from its data to metrics.json, or resumes it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

import tensorflow as tf

from eval import metrics_file, output_folder, pictures, trunks
from eval.evaluation import AnyEvaluation, Report
from eval.metrics_file import MetricsFile
from eval.settings import Config, Settings
from eval.training import TENSORBOARD, Training
from eval.watched_batches import Stopped
from selfsup.common.stop_signals import StopSignals


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The end of a run.

    Attributes:
      metrics: the fields of metrics.json, or None for a run that was stopped.
      finished_before: whether an earlier run had written them.
      stopped_by: name of the signal that stopped the run, or None.
    """

    metrics: MetricsFile | None
    finished_before: bool = False
    stopped_by: str | None = None


def run(evaluation_class: type[AnyEvaluation], settings: Settings[Config]) -> Outcome:
    """Runs or resumes an evaluation, or reads the metrics of a finished one.

    Args:
      evaluation_class: class of the evaluation.
      settings: its settings, which name the output folder.

    Raises:
      UserError: for data, a trunk, an output folder or a checkpoint that cannot be used.
    """
    with StopSignals() as stop, output_folder.opened(settings) as folder:
        before = metrics_file.exists(folder)
        try:
            finished = before or evaluate(evaluation_class(settings, folder, stop))
        except Stopped:
            finished = False
        if not finished:
            return Outcome(None, stopped_by=stop.received)
        return Outcome(metrics_file.read(folder), finished_before=before)


def run_and_print(
    evaluation_class: type[AnyEvaluation], settings: Settings[Config]
) -> None:
    """Does the same as `run`, and prints the outcome."""
    outcome = run(evaluation_class, settings)
    if outcome.metrics is None:
        print(f"stopped by {outcome.stopped_by}; run the same command again to resume")
        return
    state = "finished before" if outcome.finished_before else "done"
    print(f"{settings.output}: {state}")
    for line in _lines(outcome.metrics):
        print(f"  {line}")


def evaluate(evaluation: AnyEvaluation) -> bool:
    """Trains from the newest checkpoint, tests, and writes metrics.json last.

    Args:
      evaluation: the evaluation, in its locked output folder.

    Returns:
      True, or False when a signal stopped the training, with a checkpoint written.

    Raises:
      UserError: see `run`.
      Stopped: when a signal stopped another pass.
    """
    training = start(evaluation)
    evaluation.before_training()
    if not training.run(evaluation.stop):
        return False
    results = evaluation.test()
    evaluation.save_predictions(results)
    writer = tf.summary.create_file_writer(os.path.join(evaluation.folder, TENSORBOARD))
    with writer.as_default(evaluation.config.steps):
        evaluation.draw(results)
        report = evaluation.report(results)
        for name, value in report.metrics.items():
            tf.summary.scalar(f"{evaluation.name}/test/{name}", value)
    writer.close()
    pictures.save_curves(evaluation.folder, evaluation.curves)
    _write(evaluation, report, training)
    evaluation.clean_up()
    return True


def start(evaluation: AnyEvaluation) -> Training:
    """Finds the data, builds the network, and restores the newest checkpoint.

    A run without a checkpoint is prepared for its first step instead.

    Args:
      evaluation: the evaluation.

    Returns:
      its training.

    Raises:
      UserError: see `run`.
      Stopped: when a signal stopped the preparation.
    """
    data = evaluation.find_data()
    pretrained = trunks.load_for(evaluation.settings, evaluation.output_stride)
    training = Training(
        evaluation.folder,
        evaluation.name,
        trackable=evaluation.build(pretrained),
        step=evaluation.step,
        batches=evaluation.training_batches,
        batch_size=evaluation.config.batch_size,
        steps=evaluation.config.steps,
        notes={"trunk": evaluation.describe_trunk(pretrained), "data": data},
    )
    if not training.resume():
        training.notes["data"].update(evaluation.prepare())
    evaluation.data = training.notes["data"]
    return training


def _write(evaluation: AnyEvaluation, report: Report, training: Training) -> None:
    details = {**report.details, "remarks": list(report.remarks)}
    if report.chance:
        details["chance"] = dict(report.chance)
    metrics_file.write(
        evaluation.folder,
        evaluation=evaluation.name,
        headline=evaluation.headline,
        metrics=report.metrics,
        trunk=training.notes["trunk"],
        settings=dataclasses.asdict(evaluation.settings),
        data=training.notes["data"],
        details=details,
        alpha=report.alpha,
    )


def _lines(metrics: MetricsFile) -> Iterator[str]:
    """Yields each metric with its chance level, if it has one, and the remarks."""
    details = metrics["details"]
    for name, value in metrics["metrics"].items():
        chance = details.get("chance", {}).get(name.split("_")[-1])
        note = "" if chance is None else f" (chance {chance:.4f})"
        yield f"{name}: {value:.4f}{note}"
    yield from details.get("remarks", [])
