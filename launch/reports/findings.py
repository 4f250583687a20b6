"""Findings (i) to (v) of section 7: the numbers for and against, and a verdict each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from launch.reports import cells, metrics, paper_tables, verdicts
from launch.reports.document import Block, Cell, Heading, Items, Table, Text
from launch.reports.samples import Comparison, Numbers
from launch.reports.verdicts import Verdict
from launch.studies import rows
from launch.studies.study import Row, Study

_CORRECTED = (
    "corrected for the number of all comparisons below (Bonferroni), because some of many "
    "are off by chance"
)
_ALWAYS_RULE = (
    "Rule, for each evaluation: supported if the 95% interval of every comparison is above "
    f"zero; contradicted if any is below zero even when {_CORRECTED}; undecided otherwise."
)
# The pairs that finding (iv) is about: with the technique, without it.
_TECHNIQUES = (
    ("RP / H", "RP"),
    ("RP+Col / H", "RP+Col"),
    (rows.EVALUATION_LASSO, rows.ALL_TASKS),
    (rows.PRETRAINING_LASSO, rows.ALL_TASKS),
    (rows.BOTH_LASSO, rows.ALL_TASKS),
)


@dataclasses.dataclass(frozen=True)
class Finding:
    """A finding of the paper and what a study says about it.

    Attributes:
      number: the paper's, such as "(i)".
      claim: the claim in the paper's sense, a sentence.
      rule: how the verdict follows from the numbers, a sentence.
      verdict: on the whole claim.
      parts: the verdict of each evaluation, by heading.
      comparisons: the numbers, a row for each pair and a comparison for each evaluation.
      remark: what else a reader should know, "" for nothing.
      has_paper_gains: whether the paper prints the numbers that are compared.
    """

    number: str
    claim: str
    rule: str
    verdict: Verdict
    parts: tuple[tuple[str, Verdict], ...]
    comparisons: tuple[tuple[Comparison, ...], ...]
    remark: str = ""
    has_paper_gains: bool = True

    def blocks(self) -> tuple[Block, ...]:
        """Returns the finding as a part of a document."""
        blocks: list[Block] = [
            Heading(f"{self.number} {self.claim}"),
            self.verdict.remark("Verdict"),
        ]
        if self.parts:
            sentences = (
                f"{name}: {verdict.word}. {verdict.reason}"
                for name, verdict in self.parts
            )
            blocks.append(Items(tuple(sentences)))
        blocks.append(Text(self.rule))
        if self.remark:
            blocks.append(Text(self.remark))
        if self.comparisons:
            blocks.append(self._table())
        return tuple(blocks)

    def _table(self) -> Table:
        columns = tuple(each.metric.heading for each in self.comparisons[0])
        body = tuple(
            (
                f"{row[0].subject} over {row[0].base}",
                tuple(cells.difference(each, self._paper_gain(each)) for each in row),
            )
            for row in self.comparisons
        )
        paper = ", and the paper's gain" if self.has_paper_gains else ""
        caption = (
            f"Finding {self.number}: mean gain over n seeds, its 95% interval by a paired "
            f"t test{paper}. Bold: the interval excludes zero."
        )
        return Table(caption, ("Comparison", *columns), body)

    def _paper_gain(self, compared: Comparison) -> float | None:
        if not self.has_paper_gains:
            return None
        return paper_tables.gain(compared.subject, compared.base, compared.metric)


def summary_table(judged: Sequence[Finding]) -> Table:
    """Returns the verdicts of all findings, without their numbers."""
    body = tuple(
        (
            finding.number,
            (
                Cell(finding.claim),
                Cell(finding.verdict.word, best=True),
            ),
        )
        for finding in judged
    )
    return Table(
        "Verdicts of this study; the numbers follow.",
        ("Finding", "Claim", "Verdict"),
        body,
    )


def all_findings(numbers: Numbers) -> tuple[Finding, ...]:
    """Computes the findings of a study, in the paper's order."""
    return (
        _deeper(numbers),
        _combining(numbers),
        _gap(numbers),
        _minimal_effects(numbers),
        _faster(numbers),
    )


def _always(
    numbers: Numbers,
    pairs: Sequence[tuple[str, str]],
    snapshot: int,
    judge: Callable[[Sequence[Comparison], int], Verdict],
) -> tuple[
    tuple[tuple[Comparison, ...], ...], tuple[tuple[str, Verdict], ...], Verdict
]:
    """Comparisons of pairs in all evaluations, their verdicts, and the joint verdict."""
    table = tuple(
        tuple(
            numbers.compare(subject, base, metric, snapshot)
            for metric in numbers.headlines
        )
        for subject, base in pairs
        if numbers.headlines
    )
    family = sum(map(len, table))
    parts = tuple(
        (metric.label, judge([row[index] for row in table], family))
        for index, metric in enumerate(numbers.headlines)
    )
    return table, parts, verdicts.together([verdict for _, verdict in parts])


def _deeper(numbers: Numbers) -> Finding:
    table, parts, verdict = _always(
        numbers,
        depth_pairs(numbers.results.study),
        numbers.last,
        verdicts.always_better,
    )
    return Finding(
        "(i)",
        "Deeper networks improve self-supervision over shallow networks",
        "Compared: rows whose pretrainings differ only in the depth of the trunk, at equal "
        f"cost. {_ALWAYS_RULE}",
        verdict,
        parts if table else (),
        table,
        "" if table else "This study has no two rows that differ only in depth.",
    )


def _combining(numbers: Numbers) -> Finding:
    table, parts, verdict = _always(
        numbers, combination_pairs(numbers), numbers.last, verdicts.always_better
    )
    return Finding(
        "(ii)",
        "Combining tasks always improves performance over each task by itself",
        "Compared: each combination and each task that it consists of, at equal cost. "
        f"{_ALWAYS_RULE} The paper's own table 2 has losses on NYU.",
        verdict,
        parts if table else (),
        table,
    )


def _gap(numbers: Numbers) -> Finding:
    parts = []
    row = []
    claims = ((metrics.PASCAL, "nearly"), (metrics.NYU, "completely"))
    for metric, word in claims:
        behind = numbers.compare(rows.LABELS, rows.ALL_TASKS, metric, numbers.last)
        worth = numbers.compare(rows.LABELS, rows.RANDOM, metric, numbers.last)
        margin = paper_tables.gain(rows.LABELS, rows.ALL_TASKS, metric)
        assert margin is not None, "table 2 has both rows"
        verdict = verdicts.gap_closed(behind, worth, margin, len(claims))
        parts.append((f"{metric.label}, {word} closed", verdict))
        row.append(behind)
    return Finding(
        "(iii)",
        "The gap between ImageNet labels and all four tasks is nearly closed for VOC "
        "detection and completely closed for NYU depth",
        "Rule: supported if the 95% interval of the gap is at most the paper's gap; "
        "contradicted if all of it is greater even when corrected for two gaps "
        "(Bonferroni); undecided otherwise, and where the labels do not clearly beat a "
        "random trunk. The labels are trained for a number of steps of their own, not at "
        "equal cost.",
        verdicts.together([verdict for _, verdict in parts]),
        tuple(parts),
        (tuple(row),),
    )


def _minimal_effects(numbers: Numbers) -> Finding:
    pairs = [pair for pair in _TECHNIQUES if all(name in numbers.rows for name in pair)]
    margin = minimal_margin()
    table, parts, verdict = _always(
        numbers,
        pairs,
        numbers.last,
        lambda compared, family: verdicts.within(compared, margin, family),
    )
    return Finding(
        "(iv)",
        "Harmonisation and the lasso have only minimal effects",
        f"Minimal means at most {margin:.2f} points, the greatest effect that the paper's "
        "tables 3 and 4 show under this name. Rule, for each evaluation: supported if the "
        "95% interval of every effect is within this limit; contradicted if any is wholly "
        f"outside even when {_CORRECTED}; undecided otherwise.",
        verdict,
        parts if table else (),
        table,
        "" if table else "This study has no row with harmonised inputs or a lasso.",
    )


def _faster(numbers: Numbers) -> Finding:
    singles = _single_tasks(numbers.results.study)
    joint = _joint_row(numbers.results.study)
    pairs = [(joint, name) for name in singles.values()] if joint else []
    table, parts, verdict = _always(
        numbers, pairs, numbers.first, verdicts.always_better
    )
    remark = ""
    if not pairs:
        remark = (
            "This study has no combination of tasks together with its single tasks."
        )
    elif numbers.first == numbers.last:
        remark = (
            "This study has a single snapshot, so its first is its last: nothing is said "
            "about the speed of training."
        )
        verdict = Verdict(verdicts.UNMEASURED, remark)
        parts = ()
    return Finding(
        "(v)",
        "Combining tasks leads to faster training",
        f"Compared: {joint or 'the combination'} and each single task already at the first "
        f"snapshot, at equal cost. {_ALWAYS_RULE} The paper shows this in figure 4, "
        "without numbers: all four tasks are the best or nearly the best even at the "
        "earliest checkpoint.",
        verdict,
        parts if table else (),
        table,
        remark,
        has_paper_gains=False,
    )


def minimal_margin() -> float:
    """Returns the greatest effect, in points, of what the paper calls minimal effects."""
    effects = (
        paper_tables.gain(subject, base, metric)
        for subject, base in _TECHNIQUES
        for metric in (metrics.TOP5, metrics.PASCAL, metrics.NYU)
    )
    return max(abs(effect) for effect in effects if effect is not None)


def depth_pairs(study: Study) -> list[tuple[str, str]]:
    """Returns (deeper, shallower) rows that are equal but for the depth of their trunk."""
    ranked = [(row, _trunk(row, study)) for row in study.rows]
    return [
        (deep.name, shallow.name)
        for deep, (kind, depth) in ranked
        for shallow, (other_kind, other_depth) in ranked
        if kind == other_kind
        if deep.pretraining is not None and shallow.pretraining is not None
        if deep.evaluation_lasso == shallow.evaluation_lasso
        if dataclasses.replace(deep.pretraining, trunk=shallow.pretraining.trunk)
        == shallow.pretraining
        if depth != other_depth
        if _units(kind, depth) > _units(kind, other_depth)
    ]


def combination_pairs(numbers: Numbers) -> list[tuple[str, str]]:
    """Returns (combination, part) for the plain rows of a study, in its order."""
    singles = _single_tasks(numbers.results.study)
    return [
        (row.name, singles[task])
        for row in numbers.results.study.rows
        if _is_plain(row) and row.pretraining and len(row.pretraining.tasks) > 1
        for task in row.pretraining.tasks
        if task in singles
    ]


def _is_plain(row: Row) -> bool:
    """Whether a row is pretrained without any technique, on the study's own trunk."""
    pretraining = row.pretraining
    return (
        pretraining is not None
        and not (pretraining.harmonize or pretraining.lasso or row.evaluation_lasso)
        and not pretraining.trunk
        and not pretraining.flags
        and row.name != rows.LABELS
    )


def _single_tasks(study: Study) -> dict[str, str]:
    """The plain rows of one task, {task: row}."""
    return {
        row.pretraining.tasks[0]: row.name
        for row in study.rows
        if row.pretraining and len(row.pretraining.tasks) == 1 and _is_plain(row)
    }


def _joint_row(study: Study) -> str | None:
    """The plain row with the most tasks, at least two."""
    joint = [
        row
        for row in study.rows
        if row.pretraining and len(row.pretraining.tasks) > 1 and _is_plain(row)
    ]
    if not joint:
        return None
    return max(
        joint, key=lambda row: len(row.pretraining.tasks) if row.pretraining else 0
    ).name


def _trunk(row: Row, study: Study) -> tuple[str, str]:
    """Kind and depth of a row's trunk: its own, the study's, or the preset's."""
    from selfsup.pretraining import presets
    from selfsup.trunk import suitable_depth

    preset = presets.PRESETS[study.pretraining_flags.get("preset", "paper")].trunk
    flags = study.pretraining_flags.get("trunk_set", "").split()
    chosen = dict(flag.split("=", 1) for flag in flags if "=" in flag)
    own = row.pretraining.trunk if row.pretraining else row.trunk
    trunk = {"kind": "resnet_v2", "depth": "101", **preset, **chosen, **own}
    # A kind without a depth has its default, as in `launch.pretrain`.
    return trunk["kind"], suitable_depth(trunk["kind"], trunk["depth"])


def _units(kind: str, depth: str) -> int:
    """Layers or units of all blocks, which order the depths of a kind of trunk."""
    from selfsup.trunk import trunk_class

    table = vars(trunk_class(kind).depths[depth])
    blocks = next(table[name] for name in ("units", "layers", "convs") if name in table)
    return sum(blocks)
