"""The course of every evaluation: one folder, signals, and what is said at the end."""

import os

from eval import metrics_file, output_folder
from eval.passes import Stopped
from selfsup.common.stop_signals import StopSignals


def run(settings, evaluate):
    """Evaluates, goes on with it, or finds it finished.

    Args:
      settings: an `eval.settings.Settings`.
      evaluate: (settings, folder, stop) -> whether it came to its end, metrics.json
        written; `folder` is locked, and `stop` a `StopSignals` that has been entered.
        It may raise `passes.Stopped` as well.

    Returns:
      (metrics.json's fields, whether they were there already), or (None, name of the
      signal that stopped it).
    """
    with StopSignals() as stop, output_folder.opened(settings) as folder:
        before = os.path.exists(os.path.join(folder, metrics_file.FILE_NAME))
        try:
            finished = before or evaluate(settings, folder, stop)
        except Stopped:
            finished = False
        return (
            (metrics_file.read(folder), before) if finished else (None, stop.received)
        )


def run_and_tell(settings, evaluate):
    """As `run`, for a command: prints what came of it."""
    metrics, said = run(settings, evaluate)
    if metrics is None:
        print(f"stopped by {said}; the same command goes on")
        return
    print(f"{settings.output}: {'finished before' if said else 'done'}")
    for line in _lines(metrics):
        print(f"  {line}")


def _lines(metrics):
    """Metrics with their chance levels where there are any, and the run's remarks."""
    details = metrics["details"]
    for name, value in metrics["metrics"].items():
        chance = details.get("chance", {}).get(name.split("_")[-1])
        note = "" if chance is None else f" (chance {chance:.4f})"
        yield f"{name}: {value:.4f}{note}"
    yield from details.get("remarks", [])
