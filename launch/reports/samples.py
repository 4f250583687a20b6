"""The numbers of a study by row, metric and seed, and paired comparisons of rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from launch.reports import metrics
from launch.reports.metrics import Metric
from launch.studies.results import (
    Measurement,
    PretrainingResult,
    Provenance,
    StudyResults,
)
from selfsup.pretraining import step_costs

CONFIDENCE = 0.95
# What `launch.pretrain --costs` counts in, for readers.
_COST_UNITS = {
    "multiply_adds": "K40 hours",
    "measured": "seconds",
    "paper": "GPU hours",
}
# A top-5 accuracy with a greater chance level tells trunks apart badly.
_USEFUL_CHANCE = 0.5


@dataclasses.dataclass(frozen=True)
class Sample:
    """A number of a row, for each seed that has been measured.

    Attributes:
      values: scaled numbers by seed.
      sources: where they come from, in the order of `values`.
    """

    values: Mapping[int, float]
    sources: tuple[Provenance, ...] = ()

    @property
    def count(self) -> int:
        """Number of seeds."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Mean over the seeds, of which there is at least one."""
        return float(np.mean(list(self.values.values())))

    @property
    def spread(self) -> float | None:
        """Standard deviation over seeds (divided by n - 1); None with fewer than two."""
        if self.count < 2:
            return None
        return float(np.std(list(self.values.values()), ddof=1))


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How much better a row is than another, over the seeds that both have.

    Attributes:
      subject: name of the row in question.
      base: name of the row that it is compared with.
      metric: what is compared.
      count: number of seeds that both rows have.
      mean: mean gain; None without a seed. A gain is positive where `subject` is better.
      interval: the gain's two-sided 95% interval by a paired t test; None with fewer than
        two seeds.
      sources: where the numbers of both rows come from.
    """

    subject: str
    base: str
    metric: Metric
    count: int
    mean: float | None
    interval: tuple[float, float] | None
    sources: tuple[Provenance, ...] = ()

    @property
    def clearly_better(self) -> bool:
        """Whether the whole interval is above zero."""
        return self.interval is not None and self.interval[0] > 0

    @property
    def clearly_worse(self) -> bool:
        """Whether the whole interval is below zero."""
        return self.interval is not None and self.interval[1] < 0

    def interval_among(self, number: int) -> tuple[float, float] | None:
        """Returns the interval by Bonferroni's correction for several comparisons.

        If no two rows differed, the intervals of all `number` comparisons would contain
        zero in at least 95% of all studies.

        Args:
          number: of comparisons, this one included.
        """
        if self.interval is None:
            return None
        low, high = self.interval
        middle, half = (low + high) / 2, (high - low) / 2
        degrees = self.count - 1
        wider = _quantile(degrees, number) / _quantile(degrees)
        return middle - wider * half, middle + wider * half


def compare(
    subject: str, base: str, metric: Metric, own: Sample, other: Sample
) -> Comparison:
    """Compares two rows over the seeds that both have.

    Args:
      subject: name of the row in question.
      base: name of the row that it is compared with.
      metric: the metric of both samples.
      own: sample of `subject`.
      other: sample of `base`.
    """
    sign = 1.0 if metric.higher_is_better else -1.0
    seeds = [seed for seed in own.values if seed in other.values]
    gains = [sign * (own.values[seed] - other.values[seed]) for seed in seeds]
    return Comparison(
        subject=subject,
        base=base,
        metric=metric,
        count=len(seeds),
        mean=float(np.mean(gains)) if gains else None,
        interval=t_interval(gains),
        sources=own.sources + other.sources if seeds else (),
    )


def t_interval(differences: list[float]) -> tuple[float, float] | None:
    """Returns the two-sided 95% interval of the mean by Student's t.

    Args:
      differences: a difference for each seed.

    Returns:
      lower and upper end, or None for fewer than two differences. Without any spread,
      both ends are the mean.
    """
    count = len(differences)
    if count < 2:
        return None
    mean = float(np.mean(differences))
    error = float(np.std(differences, ddof=1)) / count**0.5
    half = _quantile(count - 1) * error
    return mean - half, mean + half


def _quantile(degrees: int, comparisons: int = 1) -> float:
    """Half the width of a two-sided interval, in standard errors."""
    from scipy import stats

    return float(stats.t.isf((1 - CONFIDENCE) / (2 * comparisons), degrees))


class Numbers:
    """The measurements of a study.

    Attributes:
      results: the study and what it has measured.
      rows: names of its rows, in order.
      first: number of the first snapshot.
      last: number of the last snapshot.
      headlines: the metric that stands for each evaluation that has been measured, in the
        order of the study.
      cost_unit: what costs are counted in.
    """

    def __init__(self, results: StudyResults) -> None:
        study = results.study
        self.results = results
        self.rows = tuple(row.name for row in study.rows)
        self.first, self.last = min(study.snapshots), max(study.snapshots)
        self.cost_unit = _COST_UNITS[
            study.pretraining_flags.get("costs", step_costs.DEFAULT)
        ]
        self._random = {row.name for row in study.rows if row.pretraining is None}
        self._measured: dict[tuple[str, str, int], dict[int, Measurement]] = {}
        for each in results.measurements:
            key = (each.row, each.evaluation, each.snapshot)
            self._measured.setdefault(key, {})[each.seed] = each
        self.headlines = tuple(
            headline
            for plan in study.evaluations
            if (headline := self._headline(plan.name)) is not None
        )

    def measurements(
        self, row: str, evaluation: str, snapshot: int
    ) -> list[Measurement]:
        """Returns a row's measurements at a snapshot, by increasing seed.

        A random trunk has the same measurements at every snapshot.
        """
        number = 0 if row in self._random else snapshot
        by_seed = self._measured.get((row, evaluation, number), {})
        return [by_seed[seed] for seed in sorted(by_seed)]

    def is_random(self, row: str) -> bool:
        """Whether the row's trunk is not pretrained."""
        return row in self._random

    def sample(self, row: str, metric: Metric, snapshot: int) -> Sample:
        """Returns a row's numbers at a snapshot."""
        measured = [
            each
            for each in self.measurements(row, metric.evaluation, snapshot)
            if metric.name in each.metrics
        ]
        return Sample(
            {each.seed: metric.scale * each.metrics[metric.name] for each in measured},
            tuple(source for each in measured for source in self.sources(each, metric)),
        )

    def compare(
        self, subject: str, base: str, metric: Metric, snapshot: int
    ) -> Comparison:
        """Compares two rows at a snapshot."""
        return compare(
            subject,
            base,
            metric,
            self.sample(subject, metric, snapshot),
            self.sample(base, metric, snapshot),
        )

    def chance(self, metric: Metric) -> float | None:
        """Returns the scaled chance level; None if there is none, or if they differ."""
        levels = {
            metric.chance(each.chance)
            for each in self.results.measurements
            if each.evaluation == metric.evaluation
        }
        return levels.pop() if len(levels) == 1 else None

    def top5_is_useful(self) -> bool:
        """Whether the photos have enough classes for a top-5 accuracy."""
        chance = self.chance(metrics.TOP5)
        return chance is None or chance <= metrics.TOP5.scale * _USEFUL_CHANCE

    def costs(self, snapshot: int) -> list[float]:
        """Returns the different costs of trunks at a snapshot, sorted.

        Rows with a schedule of their own are left out: they are not at equal cost.
        """
        own = {
            row.name
            for row in self.results.study.rows
            if row.pretraining and row.pretraining.has_own_schedule
        }
        return sorted(
            {
                each.cost
                for each in self.results.measurements
                if each.snapshot == snapshot and each.row not in own
            }
        )

    def _headline(self, evaluation: str) -> Metric | None:
        for each in self.results.measurements:
            if each.evaluation == evaluation:
                headline = metrics.headline(evaluation, each.headline)
                if headline is metrics.TOP5 and not self.top5_is_useful():
                    return metrics.TOP1
                return headline
        return None

    def sources(
        self, each: Measurement, metric: Metric | None = None
    ) -> tuple[Provenance, ...]:
        """Returns the evaluation's source, and that of the pretraining it measured.

        Args:
          each: a measurement of the study.
          metric: the metric whose number is shown, if it is a metric's.
        """
        facts = {"made by": "evaluation", "row": each.row, "seed": str(each.seed)}
        if metric is not None:
            facts[metric.name] = f"{each.metrics[metric.name]:.6g}"
        if self.is_random(each.row):
            facts["cost"] = "none, the trunk is random"
        else:
            cost = f"{each.cost:,.6g} {self.cost_unit}"
            facts["snapshot"] = f"{each.snapshot}, at a cost of {cost}"
        evaluation = dataclasses.replace(
            each.provenance, facts={**facts, **each.provenance.facts}
        )
        runs = [
            self.pretraining_source(run)
            for run in self.results.pretrainings
            if each.row in run.rows and each.seed == run.seed
        ]
        return (evaluation, *runs)

    def pretraining_source(self, run: PretrainingResult) -> Provenance:
        """Returns the source of a pretrained trunk."""
        facts = {
            "made by": "pretraining of this trunk",
            "seed": str(run.seed),
            "cost": f"{run.cost:,.6g} {self.cost_unit}",
        }
        return dataclasses.replace(
            run.provenance, facts={**facts, **run.provenance.facts}
        )
