"""What each task of a run has learned, against chance: the rules of the verdicts."""

from __future__ import annotations

import dataclasses
from typing import Literal

from launch.pipeline.commands import option
from launch.reports.run_folder import RunRecord
from selfsup import tasks
from selfsup.data import records
from selfsup.tasks.task import Metric

Verdict = Literal["learned", "learned a little", "at chance", "worse than chance"]

# Skill is 0 at chance and 1 for a perfect score, see `skill`. From these values on a task
# counts as better than chance, and as clearly better. Below minus the first it is worse.
LITTLE_SKILL, CLEAR_SKILL = 0.02, 0.1


@dataclasses.dataclass(frozen=True)
class Learned:
    """What a task has learned.

    Attributes:
      task: name of the task.
      metric: its headline metric.
      value: the metric on held-out records.
      chance: its chance level on them.
      training: mean of the metric over the last training rows; None if there are none.
      training_chance: its chance level there; None if there are no rows.
    """

    task: str
    metric: Metric
    value: float
    chance: float
    training: float | None
    training_chance: float | None

    @property
    def verdict(self) -> Verdict:
        """What the held-out records show, by `LITTLE_SKILL` and `CLEAR_SKILL`."""
        return _verdict(skill(self.metric, self.value, self.chance))

    @property
    def training_verdict(self) -> Verdict | None:
        """What the training records show; None if there are no rows."""
        if self.training is None or self.training_chance is None:
            return None
        return _verdict(skill(self.metric, self.training, self.training_chance))

    def sentence(self) -> str:
        """Returns the numbers of the verdict."""
        name = title(self.metric.name)
        direction = "more" if self.metric.higher_is_better else "less"
        return (
            f"{name} ({self.metric.description}) is {self.value:.3f} on held-out records, "
            f"where chance is {self.chance:.3f}; {direction} is better."
        )

    def advice(self) -> str:
        """Returns what to try; "" if the task has clearly learned."""
        if self.verdict == "learned":
            return ""
        if self.verdict == "learned a little":
            return "It is still close to chance: train for more steps."
        if self.training_verdict in ("learned", "learned a little"):
            features = tasks.task_class(self.task).features
            of_videos = set(features) & set(records.VIDEO_FEATURES)
            return (
                "It learned its training records, but this does not carry over to other "
                f"records. Add more and more varied {'videos' if of_videos else 'photos'}; "
                f"that helps most. {option('stop_overfitting', 3)} ends the task before it "
                "gets worse."
            )
        return (
            "It has not learned its training records either. Train for more steps, give "
            "the task a larger share of them "
            f"({option('task_weights', self.task + '=2')}), or change its rate "
            f"({option('task_set', self.task + '.learning_rate=RATE')}). Look at its "
            "pictures: can a person solve it on your data?"
        )


def title(task: str) -> str:
    """Returns the name of a task or of a metric as the start of a sentence."""
    text = task.replace("_", " ")
    return text[:1].upper() + text[1:]


def skill(metric: Metric, value: float, chance: float) -> float:
    """Scales a metric so that chance is 0 and a perfect score is 1.

    A metric of which more is better is a share with the perfect score 1; otherwise it is
    a loss with the perfect score 0. If chance is perfect already, the skill is 0.
    """
    perfect = 1.0 if metric.higher_is_better else 0.0
    return (value - chance) / (perfect - chance) if perfect != chance else 0.0


def learned(record: RunRecord) -> tuple[Learned, ...]:
    """Returns what each task has learned; tasks without held-out results are missing."""
    results = []
    for task in record.tasks:
        metric = record.headline(task)
        key = f"chance/{metric.name}"
        scalars = record.held_out.get(task, {})
        if metric.name in scalars and key in scalars:
            results.append(
                Learned(
                    task,
                    metric,
                    scalars[metric.name],
                    scalars[key],
                    record.training_mean(task, metric.name),
                    record.training_mean(task, key),
                )
            )
    return tuple(results)


def _verdict(value: float) -> Verdict:
    if value >= CLEAR_SKILL:
        return "learned"
    if value >= LITTLE_SKILL:
        return "learned a little"
    return "worse than chance" if value <= -LITTLE_SKILL else "at chance"
