"""The registry of evaluations: the only place that lists them.

Names map to "module:class", so that listing the evaluations does not import TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from selfsup.common.errors import UserError

if TYPE_CHECKING:
    from eval.evaluation import AnyEvaluation

EVALUATIONS = {
    "imagenet_linear": "eval.imagenet_linear.evaluation:ImagenetLinear",
    "voc07_detection": "eval.voc07_detection.evaluation:Voc07Detection",
    "nyuv2_depth": "eval.nyuv2_depth.evaluation:Nyuv2Depth",
    "few_labels": "eval.few_labels.evaluation:FewLabels",
    "nyuv2_normals": "eval.nyuv2_normals.evaluation:Nyuv2Normals",
}


def evaluation_class(name: str) -> type[AnyEvaluation]:
    """Returns the `Evaluation` subclass that is registered as `name`.

    Raises:
      UserError: for a name that is not registered, with the list of registered names.
    """
    if name not in EVALUATIONS:
        raise UserError(
            f"unknown evaluation {name!r}; evaluations are: {', '.join(EVALUATIONS)}"
        )
    module, class_name = EVALUATIONS[name].split(":")
    evaluation: type[AnyEvaluation] = getattr(
        importlib.import_module(module), class_name
    )
    return evaluation
