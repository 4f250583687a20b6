"""How measured comparisons become a verdict on a finding, by explicit rules.

A claim about all comparisons is supported where each interval says so. No correction is
needed, because all have to. But any comparison can contradict it, and of many some would by
chance: so a contradiction needs an interval that is corrected for their number.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from launch.reports import wording
from launch.reports.document import Remark, Tone
from launch.reports.samples import Comparison

_TONES: dict[str, Tone] = {"supported": "good", "contradicted": "bad"}
SUPPORTED, CONTRADICTED = "supported", "contradicted"
UNDECIDED = "undecided within the spread"
UNMEASURED = "not measured"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a study says about a claim.

    Attributes:
      word: "supported", "contradicted", "undecided within the spread" or "not measured".
      reason: the counts or numbers that it follows from, a sentence.
    """

    word: str
    reason: str

    def remark(self, subject: str) -> Remark:
        """Returns the verdict as a part of a document, with what it is about."""
        return Remark(
            f"{subject}: {self.word}", self.reason, _TONES.get(self.word, "open")
        )


def always_better(comparisons: Sequence[Comparison], family: int) -> Verdict:
    """Judges the claim that every comparison is a gain.

    Supported if every 95% interval is above zero; contradicted if any is below zero when
    corrected for the number of comparisons; otherwise undecided. A comparison with one
    seed or none has no interval.

    Args:
      comparisons: of any number of rows.
      family: number of all comparisons of the claim, also in other evaluations.
    """
    measured = [each for each in comparisons if each.count]
    if not measured:
        return Verdict(UNMEASURED, "No pair of rows has a measured seed in common.")
    better = sum(each.clearly_better for each in comparisons)
    worse = sum(each.clearly_worse for each in comparisons)
    certainly_worse = sum(high < 0 for _, high in _corrected(comparisons, family))
    means = sum(each.mean is not None and each.mean > 0 for each in measured)
    corrected = f" ({certainly_worse} after the correction)" if worse else ""
    reason = (
        f"{_comparisons(len(comparisons))}: {better} clearly better, {worse} clearly "
        f"worse{corrected}; means above zero: {means} of {len(measured)}."
        f"{_remarks(comparisons)}"
    )
    if certainly_worse:
        return Verdict(CONTRADICTED, reason)
    if better == len(comparisons):
        return Verdict(SUPPORTED, reason)
    return Verdict(UNDECIDED, reason)


def within(comparisons: Sequence[Comparison], margin: float, family: int) -> Verdict:
    """Judges the claim that no comparison differs from zero by more than a margin.

    Supported if every 95% interval is within the margin on both sides; contradicted if any
    is wholly outside of it when corrected for the number of comparisons; otherwise
    undecided.

    Args:
      comparisons: of any number of rows.
      family: number of all comparisons of the claim, also in other evaluations.
      margin: greatest difference that the claim allows, in the unit of the metrics.
    """
    measured = [each for each in comparisons if each.count]
    if not measured:
        return Verdict(UNMEASURED, "No pair of rows has a measured seed in common.")
    intervals = [each.interval for each in comparisons if each.interval is not None]
    inside = sum(-margin <= low and high <= margin for low, high in intervals)
    outside = sum(
        high < -margin or low > margin for low, high in _corrected(comparisons, family)
    )
    reason = (
        f"{_comparisons(len(comparisons))}: {inside} clearly within ±{margin:.2f}, "
        f"{outside} outside after the correction.{_remarks(comparisons)}"
    )
    if outside:
        return Verdict(CONTRADICTED, reason)
    if inside == len(comparisons):
        return Verdict(SUPPORTED, reason)
    return Verdict(UNDECIDED, reason)


def gap_closed(
    behind: Comparison, worth: Comparison | None, margin: float, family: int
) -> Verdict:
    """Judges the claim that a row has (nearly) reached the row of ImageNet labels.

    Supported if the whole 95% interval of the gap is at most the margin; contradicted if
    all of it is greater when corrected for the number of gaps; otherwise undecided.
    Without a clear gain of labels over a random trunk there is nothing to reach, and the
    claim stays undecided.

    Args:
      behind: gain of labels over the self-supervised row, which is the gap.
      worth: gain of labels over the random trunk; None if the study has no random trunk.
      margin: the paper's gap.
      family: number of gaps of the claim.
    """
    if not behind.count or behind.mean is None:
        return Verdict(UNMEASURED, "The two rows have no measured seed in common.")
    number = wording.signed(behind.mean, behind.metric.digits)
    reason = (
        f"The gap is {number}; the paper's, which serves as the limit, is {margin:.2f}."
    )
    if behind.interval is None:
        return Verdict(UNDECIDED, f"{reason}{_remarks([behind])}")
    low, high = (wording.signed(end, behind.metric.digits) for end in behind.interval)
    reason = f"{reason} Its 95% interval is {low} to {high}."
    if worth is None or not worth.clearly_better:
        return Verdict(
            UNDECIDED,
            f"{reason} The labels do not clearly beat a random trunk here, so there is "
            "nothing to reach.",
        )
    if behind.interval[1] <= margin:
        return Verdict(SUPPORTED, reason)
    if any(low > margin for low, _ in _corrected([behind], family)):
        return Verdict(CONTRADICTED, reason)
    return Verdict(UNDECIDED, reason)


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Joins the verdicts of several evaluations on a claim.

    Contradicted if any is; supported if all that are measured are; otherwise undecided.
    """
    words = [each.word for each in verdicts if each.word != UNMEASURED]
    if not words:
        return Verdict(UNMEASURED, "No evaluation has measured it.")
    counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
    absent = len(verdicts) - len(words)
    reason = f"By evaluation: {counts}" + (
        f", {absent} not measured." if absent else "."
    )
    if CONTRADICTED in words:
        return Verdict(CONTRADICTED, reason)
    if set(words) == {SUPPORTED}:
        return Verdict(SUPPORTED, reason)
    return Verdict(UNDECIDED, reason)


def _corrected(
    comparisons: Sequence[Comparison], family: int
) -> list[tuple[float, float]]:
    """The intervals that are corrected for `family` comparisons, of those that have any."""
    intervals = (each.interval_among(family) for each in comparisons)
    return [interval for interval in intervals if interval is not None]


def _comparisons(count: int) -> str:
    return wording.counted(count, "comparison")


def _remarks(comparisons: Sequence[Comparison]) -> str:
    """What limits a verdict: comparisons without seeds, and with a single seed."""
    remarks = []
    absent = sum(not each.count for each in comparisons)
    single = sum(each.count == 1 for each in comparisons)
    if absent:
        remarks.append(f"{absent} not measured yet.")
    if single:
        remarks.append(f"{single} with one seed only, so their spread is unknown.")
    return "".join(f" {remark}" for remark in remarks)
