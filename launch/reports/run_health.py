"""The health of a run in words: explicit rules, each with what to try.

docs/pretraining.md ("Signs of trouble") explains the quantities.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Callable, Literal

import numpy as np

from launch.pipeline.commands import option
from launch.reports.run_folder import RunRecord
from launch.reports.run_learning import skill, title
from selfsup.pretraining.health import MANY_DEAD, MAX_UPDATE_RATIO, MIN_UPDATE_RATIO

State = Literal["well", "trouble", "unknown"]

# The exemplar task has collapsed if its loss is at least this share of the margin while
# the mean distance of two photos is below this value (0 to 2).
MARGIN_SHARE, COLLAPSED_DISTANCE = 0.98, 0.1
# A task overfits if its held-out loss has risen by this share above its least value and
# its training loss has not risen, or if its skill (`run_learning.skill`) is lower by this
# much on held-out records than in training.
LOSS_RISE, SKILL_GAP = 0.05, 0.3
# Shares above which skipped steps, missing records and pauses are troubles.
MANY_SKIPPED, MANY_REPLACED, LONG_PAUSES = 0.01, 0.001, 0.05
# With fewer held-out records, differences between metrics may be accidents.
FEW_RECORDS = 100
# Share of the step above which a part other than computing is a trouble.
LONG_PART = 0.25


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a rule says about a run.

    Attributes:
      subject: what the rule is about, such as "Dead units".
      state: "unknown" if the run has not recorded what the rule needs.
      text: sentences with the numbers.
      advice: what to try; "" unless the state is "trouble".
    """

    subject: str
    state: State
    text: str
    advice: str = ""


def findings(record: RunRecord) -> tuple[Finding, ...]:
    """Applies all rules to a run."""
    results: list[Finding] = []
    for rule in (
        _collapse,
        _overfitting,
        _early_ends,
        _dead_units,
        _update_ratios,
        _skipped_steps,
        _damaged_records,
        _lost_devices,
        _few_records,
        _pauses,
        _time_of_parts,
    ):
        results.extend(rule(record))
    return tuple(results)


def _collapse(record: RunRecord) -> Iterator[Finding]:
    """Tasks with a triplet loss collapse if all patches get the same features."""
    subject = "Collapse"
    for task in record.tasks:
        loss = record.training_mean(task, "triplet_loss")
        margin = record.training_mean(task, "chance/triplet_loss")
        distance = record.training_mean(task, "mean_distance")
        if loss is None or margin is None or distance is None:
            continue
        numbers = (
            f"{title(task)}: the triplet loss is {loss:.3f} at a margin of {margin:g}, "
            f"and the mean distance of two photos is {distance:.2f} (0 to 2)."
        )
        if loss >= MARGIN_SHARE * margin and distance < COLLAPSED_DISTANCE:
            yield Finding(
                subject,
                "trouble",
                f"{numbers} All patches have nearly the same features.",
                f"Lower {_rate_of(task)}, or give it larger batches "
                f"({option('task_set', task + '.batch_size')}), and start again.",
            )
        else:
            yield Finding(subject, "well", f"{numbers} It has not collapsed.")


def _rate_of(task: str) -> str:
    """Returns the option that sets the learning rate of a task."""
    return option("task_set", f"{task}.learning_rate")


def _overfitting(record: RunRecord) -> Iterator[Finding]:
    subject, well = "Overfitting", []
    for task in record.tasks:
        trouble = _risen_loss(record, task) or _skill_gap(record, task)
        if trouble:
            yield Finding(
                subject,
                "trouble",
                trouble,
                "More and more varied inputs help most. With "
                f"{option('stop_overfitting', 3)} a task ends when its held-out loss no "
                "longer falls; a smaller share of the steps "
                f"({option('task_weights', task + '=0.5')}) also helps.",
            )
        elif record.rows_of(task, "validation", "loss"):
            well.append(title(task))
    if well:
        yield Finding(
            subject,
            "well",
            f"{', '.join(well)}: held-out metrics follow the training metrics.",
        )
    unknown = [
        title(task)
        for task in record.tasks
        if not record.rows_of(task, "validation", "loss")
    ]
    if unknown:
        yield Finding(
            subject,
            "unknown",
            f"{', '.join(unknown)}: there is no validation yet, or no held-out record.",
        )


def _early_ends(record: RunRecord) -> Iterator[Finding]:
    """Tasks that early stopping has ended."""
    for task in record.tasks:
        for row in record.rows_of(task, "stopped", "best_step"):
            yield Finding(
                "Early end",
                "well",
                f"{title(task)} took no more steps after step {row['step']}: its lowest "
                f"held-out loss, {row['best_loss']:.3f}, was at step "
                f"{row['best_step']:g} ({option('stop_overfitting')}).",
            )


def _risen_loss(record: RunRecord, task: str) -> str:
    """Returns a text if the held-out loss rose and the training loss did not."""
    rows = record.rows_of(task, "validation", "loss")
    trained = record.rows_of(task, "train", "loss")
    if len(rows) < 2 or not trained:
        return ""
    least, last = min(rows, key=lambda row: row["loss"]), rows[-1]
    rise = last["loss"] / least["loss"] - 1.0 if least["loss"] > 0 else 0.0
    nearest = min(trained, key=lambda row: abs(row["step"] - least["step"]))
    final = record.training_mean(task, "loss")
    if rise <= LOSS_RISE or final is None or final > nearest["loss"]:
        return ""
    return (
        f"{title(task)}: since step {least['step']} the held-out loss has risen by "
        f"{rise:.0%}, from {least['loss']:.3f} to {last['loss']:.3f}, while the training "
        f"loss did not rise ({nearest['loss']:.3f} then, {final:.3f} at the end)."
    )


def _skill_gap(record: RunRecord, task: str) -> str:
    """Returns a text if a task is much better in training than on held-out records."""
    metric = record.headline(task)
    key = f"chance/{metric.name}"
    held_out = record.held_out.get(task, {})
    value, level = held_out.get(metric.name), held_out.get(key)
    trained, trained_level = (
        record.training_mean(task, metric.name),
        record.training_mean(task, key),
    )
    if value is None or level is None or trained is None or trained_level is None:
        return ""
    gap = skill(metric, trained, trained_level) - skill(metric, value, level)
    if gap <= SKILL_GAP:
        return ""
    name = metric.name.replace("_", " ")
    return (
        f"{title(task)}: {name} is {trained:.3f} in training (chance "
        f"{trained_level:.3f}), but {value:.3f} on held-out records (chance {level:.3f})."
    )


def _dead_units(record: RunRecord) -> Iterator[Finding]:
    prefix, subject = "dead_units/", "Dead units"
    worst: list[tuple[float, str, str]] = []
    for task in record.tasks:
        rows = record.rows_of(task, "health", prefix + "trunk")
        if not rows:
            continue
        layers = {
            key[len(prefix) :]: value
            for key, value in rows[-1].items()
            if key.startswith(prefix) and key.count("/") > 1
        }
        layer = max(layers, key=lambda name: layers[name])
        worst.append((layers[layer], task, layer))
        if layers[layer] >= MANY_DEAD:
            yield Finding(
                subject,
                "trouble",
                f"{title(task)}: {layers[layer]:.0%} of the units of {layer} are zero at "
                "every position of a held-out batch.",
                "Dead units rarely recover. Start again with a lower "
                f"{_rate_of(task)}.",
            )
    if not worst:
        yield Finding(subject, "unknown", "They have not been counted yet.")
    elif max(worst)[0] < MANY_DEAD:
        share, task, layer = max(worst)
        text = f"At most {share:.0%} of a layer's units are dead"
        where = f" ({layer}, {task.replace('_', ' ')})" if share else ""
        yield Finding(subject, "well", f"{text}{where}.")


def _update_ratios(record: RunRecord) -> Iterator[Finding]:
    subject, ratios = "Size of the updates", []
    for task in record.tasks:
        for part in ("trunk", "head"):
            key = f"update_ratio/{part}"
            rows = record.rows_of(task, "health", key)
            if not rows:
                continue
            ratio = rows[-1][key]
            ratios.append(ratio)
            if MIN_UPDATE_RATIO <= ratio <= MAX_UPDATE_RATIO:
                continue
            direction = "higher" if ratio < MIN_UPDATE_RATIO else "lower"
            yield Finding(
                subject,
                "trouble",
                f"{title(task)}: its last step changed the weights of the {part} by "
                f"{ratio:.2g} of their norm; about 0.001 is usual.",
                f"Try a {direction} {_rate_of(task)}.",
            )
    if not ratios:
        yield Finding(subject, "unknown", "They have not been measured yet.")
    elif all(MIN_UPDATE_RATIO <= ratio <= MAX_UPDATE_RATIO for ratio in ratios):
        yield Finding(
            subject,
            "well",
            f"The last steps changed trunk and heads by {min(ratios):.2g} to "
            f"{max(ratios):.2g} of the norm of their weights; about 0.001 is usual.",
        )


def _skipped_steps(record: RunRecord) -> Iterator[Finding]:
    return _counted(
        record,
        "Skipped steps",
        count="skipped",
        total="steps",
        most=MANY_SKIPPED,
        text="steps were skipped, because their gradients were not finite.",
        advice=lambda task: (
            f"Lower {_rate_of(task)}; without {option('mixed_precision')} numbers overflow "
            "less often."
        ),
        none="All gradients were finite: no step was skipped.",
    )


def _damaged_records(record: RunRecord) -> Iterator[Finding]:
    return _counted(
        record,
        "Damaged records",
        count="stand_ins",
        total="examples",
        most=MANY_REPLACED,
        text="training examples replaced records that are missing because shards are "
        "damaged.",
        advice=lambda _: (
            "Delete the damaged shards, which the run has named, and run the command "
            "that built them again."
        ),
        none="Every record could be read.",
    )


def _counted(
    record: RunRecord,
    subject: str,
    *,
    count: str,
    total: str,
    most: float,
    text: str,
    advice: Callable[[str], str],
    none: str,
) -> Iterator[Finding]:
    """Yields a finding for each task with a count above 0, or the sentence `none`.

    Args:
      record: the run.
      subject: subject of the findings.
      count, total: keys of `RunRecord.counts`.
      most: the share of the total above which the count is trouble.
      text: the sentence after "COUNT of TOTAL".
      advice: what to do about trouble, by task.
      none: the sentence when no task has such a count.
    """
    if not record.counts:
        yield Finding(subject, "unknown", "There is no checkpoint yet.")
        return
    is_counted = False
    for task, counts in record.counts.items():
        number = counts.get(count)
        if not number:
            continue
        is_counted = True
        is_trouble = number > most * counts[total]
        yield Finding(
            subject,
            "trouble" if is_trouble else "well",
            f"{title(task)}: {number} of {counts[total]} {text}",
            advice(task) if is_trouble else "",
        )
    if not is_counted:
        yield Finding(subject, "well", none)


def _lost_devices(record: RunRecord) -> Iterator[Finding]:
    if record.lost_devices:
        yield Finding(
            "Lost devices",
            "trouble",
            f"A device was lost {record.lost_devices} times; training continued on the "
            "others.",
            f"{record.folder}/lost_devices.log has the errors.",
        )
    else:
        yield Finding("Lost devices", "well", "No device was lost.")


def _few_records(record: RunRecord) -> Iterator[Finding]:
    numbers = {task: record.held_out_records(task) for task in record.tasks}
    few = {task: number for task, number in numbers.items() if number < FEW_RECORDS}
    if few:
        counts = ", ".join(f"{title(task)} {number}" for task, number in few.items())
        yield Finding(
            "Held-out records",
            "trouble",
            f"There are few: {counts}. Small differences to chance may be accidents.",
            "Build the sets with more inputs, or with a larger "
            f"{option('validation_fraction')}.",
        )
    if not few and numbers:
        yield Finding(
            "Held-out records",
            "well",
            f"Each task is measured on {min(numbers.values())} or more.",
        )


def _pauses(record: RunRecord) -> Iterator[Finding]:
    rows = [row for row in record.rows if row["split"] == "run"]
    if not rows:
        return
    share = rows[-1]["pause_share"]
    is_long = share > LONG_PAUSES
    yield Finding(
        "Checkpoints",
        "trouble" if is_long else "well",
        f"Writing checkpoints took {share:.1%} of the time.",
        f"Write them less often: raise {option('checkpoint_seconds')}."
        if is_long
        else "",
    )


def _time_of_parts(record: RunRecord) -> Iterator[Finding]:
    """Judges the parts of a step, which only a run that traces its steps has recorded."""
    less_traffic = (
        f"Use {option('wire', 'bfloat16')} or {option('sum_in_host')}, or a faster "
        "network."
    )
    advice = {
        "input": "The input is too slow: build the sets with smaller photos "
        f"({option('max_side')}) or use more processors.",
        "pull": less_traffic,
        "push": less_traffic,
        "wait": "A replica is slower than the others of its task: use equal devices.",
    }
    for task, parts in record.parts.items():
        whole = float(np.median(parts["step"])) if "step" in parts else 0.0
        if not whole or "compute" not in parts:
            continue
        shares = {
            kind: float(np.median(seconds)) / whole
            for kind, seconds in parts.items()
            if kind != "step"
        }
        long = {
            kind: shares[kind] for kind in advice if shares.get(kind, 0) > LONG_PART
        }
        text = ", ".join(f"{kind} {share:.0%}" for kind, share in shares.items())
        yield Finding(
            "Time of a step",
            "trouble" if long else "well",
            f"{title(task)}: a step takes {whole:.3f} s: {text}.",
            " ".join(dict.fromkeys(advice[kind] for kind in long)),
        )
