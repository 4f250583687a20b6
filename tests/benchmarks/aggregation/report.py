"""The tables and the plot of a study of aggregation modes."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Callable

from selfsup.common import files
from tests.benchmarks.aggregation.study import MODES, Run, Setting
from tests.benchmarks.table import to_markdown

TABLE, CURVES, PLOT = "aggregation.md", "aggregation.json", "aggregation.png"
RUN_COLUMNS = ("mode", "learning rate", "seed", "updates/s", "held-out loss")
_COLORS = {"hybrid": "tab:blue", "sync": "tab:green", "async": "tab:red"}

# The runs of each (learning rate, mode).
_Groups = Mapping[tuple[float, str], Sequence[Run]]


def run_cells(run: Run) -> list[str]:
    """The cells of a run, for `RUN_COLUMNS`."""
    return [
        run.mode,
        f"{run.learning_rate:g}",
        f"{run.seed}",
        f"{run.updates / run.seconds:.1f}",
        f"{final_loss(run):.3f}",
    ]


def final_loss(run: Run) -> float:
    """Mean held-out loss in the last quarter of a run."""
    return statistics.fmean(_losses_after(run, 0.75))


def jitter(run: Run) -> float:
    """Mean change of the held-out loss between two measurements, in the second half."""
    losses = _losses_after(run, 0.5)
    changes = [abs(after - before) for before, after in zip(losses, losses[1:])]
    return statistics.fmean(changes) if changes else 0.0


def seconds_to(run: Run, loss: float) -> float | None:
    """The time at which the held-out loss first reached `loss`; None if it did not."""
    return next((seconds for seconds, value in run.curve if value <= loss), None)


def _losses_after(run: Run, fraction: float) -> list[float]:
    """The losses after a fraction of the run's time, at least the last loss."""
    losses = [loss for seconds, loss in run.curve if seconds >= fraction * run.seconds]
    return losses or [run.curve[-1][1]]


def write(runs: Sequence[Run], setting: Setting, folder: str) -> str:
    """Writes tables, curves and plot into a folder; returns the text of the tables."""
    groups = collections.defaultdict(list)
    for run in runs:
        groups[run.learning_rate, run.mode].append(run)
    text = f"{_table(groups)}\n\n{_best_table(groups)}\n"
    files.write_atomically(os.path.join(folder, TABLE), text)
    stored = {
        "setting": dataclasses.asdict(setting),
        "runs": [dataclasses.asdict(run) for run in runs],
    }
    files.write_atomically(os.path.join(folder, CURVES), json.dumps(stored, indent=1))
    _plot(groups, os.path.join(folder, PLOT))
    return text


def _table(groups: _Groups) -> str:
    """The results of each mode at each learning rate."""
    columns = (
        "learning rate",
        "mode",
        "updates/s",
        "examples/s",
        "staleness",
        "held-out loss",
        "its jitter",
    )
    rows = [
        (
            f"{rate:g}",
            mode,
            f"{_mean(runs, lambda run: run.updates / run.seconds):.1f}",
            f"{_mean(runs, lambda run: run.examples / run.seconds):.0f}",
            f"{_mean(runs, lambda run: run.staleness):.1f}",
            _loss_cell(runs),
            f"{_mean(runs, jitter):.3f}",
        )
        for (rate, mode), runs in groups.items()
    ]
    return to_markdown(columns, rows)


def _best_table(groups: _Groups) -> str:
    """Each mode at the learning rate with the lowest loss."""
    best: dict[str, Sequence[Run]] = {}
    for (_, mode), runs in groups.items():
        if mode not in best or _mean(runs, final_loss) < _mean(best[mode], final_loss):
            best[mode] = runs
    target = max(_mean(runs, final_loss) for runs in best.values())
    columns = ("mode", "best rate", "held-out loss", f"seconds to {target:.2f}")
    rows = [
        (
            mode,
            f"{best[mode][0].learning_rate:g}",
            _loss_cell(best[mode]),
            ", ".join(_seconds_cell(run, target) for run in best[mode]),
        )
        for mode in MODES
        if mode in best
    ]
    return to_markdown(columns, rows)


def _loss_cell(runs: Sequence[Run]) -> str:
    losses = [final_loss(run) for run in runs]
    text = f"{statistics.fmean(losses):.3f}"
    return text if len(losses) == 1 else f"{text} ({min(losses):.3f}-{max(losses):.3f})"


def _seconds_cell(run: Run, target: float) -> str:
    seconds = seconds_to(run, target)
    return "never" if seconds is None else f"{seconds:.1f}"


def _mean(runs: Iterable[Run], value: Callable[[Run], float]) -> float:
    return statistics.fmean(value(run) for run in runs)


def _plot(groups: _Groups, path: str) -> None:
    """Draws loss against time, a panel for each learning rate."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rates = list(dict.fromkeys(rate for rate, _ in groups))
    figure, axes = pyplot.subplots(
        1,
        len(rates),
        figsize=(4 * len(rates), 3.4),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for (rate, mode), runs in groups.items():
        axis = axes[0][rates.index(rate)]
        for number, run in enumerate(runs):
            label = None if number else mode
            axis.plot(*zip(*run.curve), color=_COLORS[mode], label=label, linewidth=1.2)
    for axis, rate in zip(axes[0], rates):
        axis.set_title(f"learning rate {rate:g}")
        axis.set_xlabel("seconds")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("held-out loss")
    axes[0][0].legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
