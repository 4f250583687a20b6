"""The numbers that a report shows of each evaluation: name, unit, which way is better."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric of an evaluation.

    Attributes:
      evaluation: name in `eval.registry.EVALUATIONS`.
      name: key in the metrics of the evaluation.
      label: what sentences call it.
      unit: of the scaled number, "" if it has none.
      scale: factor of the shown number; 100 shows a share as percent.
      digits: digits after the point, those of the paper.
      higher_is_better: whether a greater number is a better result.
    """

    evaluation: str
    name: str
    label: str
    unit: str = "%"
    scale: float = 100.0
    digits: int = 2
    higher_is_better: bool = True

    @property
    def heading(self) -> str:
        """What tables and figures call it, with the unit and the less common direction."""
        unit = f", {self.unit}" if self.unit else ""
        return f"{self.label}{unit}{'' if self.higher_is_better else ' (low: good)'}"

    def chance(self, levels: Mapping[str, float]) -> float | None:
        """Returns this metric's chance level, scaled, or None if it has none.

        Args:
          levels: chance levels of the evaluation; the last word of a metric's name
            serves all metrics that end with it.
        """
        level = levels.get(self.name, levels.get(self.name.split("_")[-1]))
        return None if level is None else self.scale * level


TOP1 = Metric("imagenet_linear", "top1", "ImageNet top-1")
TOP5 = Metric("imagenet_linear", "top5", "ImageNet top-5")
PASCAL = Metric("voc07_detection", "mAP_0.5", "PASCAL mAP")
PASCAL_STRICT = Metric("voc07_detection", "mAP_0.75", "PASCAL mAP at .75")
NYU = Metric("nyuv2_depth", "under_1.25", "NYU < 1.25")
NYU_2 = Metric("nyuv2_depth", "under_1.25_2", "NYU < 1.25²")
NYU_3 = Metric("nyuv2_depth", "under_1.25_3", "NYU < 1.25³")
NYU_ABSOLUTE = Metric(
    "nyuv2_depth", "mean_absolute_error", "mean absolute error", "m", 1.0, 3, False
)
NYU_RELATIVE = Metric(
    "nyuv2_depth", "mean_relative_error", "mean relative error", "", 1.0, 3, False
)
FEW_LABELS = Metric("few_labels", "few_labels_top1", "few labels top-1")
NORMALS = Metric("nyuv2_normals", "within_11.25", "normals within 11.25°")

# The number of each evaluation that stands for it.
HEADLINES = {
    metric.evaluation: metric for metric in (TOP5, PASCAL, NYU, FEW_LABELS, NORMALS)
}


def headline(evaluation: str, name: str) -> Metric:
    """Returns the headline of an evaluation, also of one that has no entry here.

    Args:
      evaluation: name of the evaluation.
      name: name of its headline.
    """
    known = HEADLINES.get(evaluation)
    if known is not None and known.name == name:
        return known
    return Metric(
        evaluation, name, f"{evaluation.replace('_', ' ')} {name}", "", 1.0, 4
    )
