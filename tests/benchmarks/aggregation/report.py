"""The table and the plot of a study of aggregation modes."""

import collections
import dataclasses
import json
import os
import statistics

from selfsup.common import files
from tests.benchmarks.aggregation.study import MODES

TABLE, CURVES, PLOT = "aggregation.md", "aggregation.json", "aggregation.png"
_COLORS = {"hybrid": "tab:blue", "sync": "tab:green", "async": "tab:red"}


def line(run):
    """One line on a run, for the terminal."""
    return (
        f"{run.mode:6s} learning rate {run.learning_rate:<7g} seed {run.seed}  "
        f"{run.updates / run.seconds:5.1f} updates/s  loss {final_loss(run):.3f}"
    )


def final_loss(run):
    """Mean held-out loss of the last quarter of a run."""
    return statistics.fmean(_part(run, 0.75))


def jitter(run):
    """Mean change of the held-out loss between two measurements, in the second half."""
    losses = _part(run, 0.5)
    changes = [abs(after - before) for before, after in zip(losses, losses[1:])]
    return statistics.fmean(changes) if changes else 0.0


def seconds_to(run, loss):
    """When the held-out loss was first so low; None when it never was."""
    return next((seconds for seconds, value in run.curve if value <= loss), None)


def _part(run, fraction):
    """Losses of a run from a fraction of its time on; the last one at least."""
    losses = [loss for seconds, loss in run.curve if seconds >= fraction * run.seconds]
    return losses or [run.curve[-1][1]]


def write(runs, setting, folder):
    """Writes table, curves and plot into a folder; returns the table's text."""
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


def _table(groups):
    head = (
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
            f"{_mean(of, lambda run: run.updates / run.seconds):.1f}",
            f"{_mean(of, lambda run: run.examples / run.seconds):.0f}",
            f"{_mean(of, lambda run: run.staleness):.1f}",
            _loss_cell(of),
            f"{_mean(of, jitter):.3f}",
        )
        for (rate, mode), of in groups.items()
    ]
    return _markdown(head, rows)


def _best_table(groups):
    """Each mode at the learning rate that serves it best."""
    best = {}
    for (_, mode), of in groups.items():
        if mode not in best or _mean(of, final_loss) < _mean(best[mode], final_loss):
            best[mode] = of
    target = max(_mean(of, final_loss) for of in best.values())
    head = ("mode", "best rate", "held-out loss", f"seconds to {target:.2f}")
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
    return _markdown(head, rows)


def _loss_cell(runs):
    losses = [final_loss(run) for run in runs]
    text = f"{statistics.fmean(losses):.3f}"
    return text if len(losses) == 1 else f"{text} ({min(losses):.3f}-{max(losses):.3f})"


def _seconds_cell(run, target):
    seconds = seconds_to(run, target)
    return "never" if seconds is None else f"{seconds:.1f}"


def _mean(runs, value):
    return statistics.fmean(value(run) for run in runs)


def _markdown(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _plot(groups, path):
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
    for (rate, mode), of in groups.items():
        axis = axes[0][rates.index(rate)]
        for run in of:
            label = f"{mode}" if run is of[0] else None
            axis.plot(*zip(*run.curve), color=_COLORS[mode], label=label, linewidth=1.2)
    for axis, rate in zip(axes[0], rates):
        axis.set_title(f"learning rate {rate:g}")
        axis.set_xlabel("seconds")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("held-out loss")
    axes[0][0].legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
