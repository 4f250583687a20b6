"""The first losses of each task equal stored numbers with every TensorFlow version."""

from __future__ import annotations

import json
import os
import pathlib

import numpy as np
import pytest

from selfsup.tasks import REGISTRY

GOLDEN = pathlib.Path(__file__).parent / "golden" / "first_losses.json"
REGENERATE = (
    "the losses of the first steps changed, or differ between the two sets of packages; "
    "if the change is intended, regenerate the file on TensorFlow 2.15 with "
    "REGENERATE_GOLDEN=1 python -m pytest tests/tasks/test_first_steps.py, and run the "
    "test on the other set, too"
)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_losses_of_the_first_steps(name, tiny, train):
    """The seed determines weights, input pipeline and preprocessing on the device."""
    losses = train(tiny(name), steps=3)
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("REGENERATE_GOLDEN"):
        golden[name] = losses
        rows = (f" {json.dumps(key)}: {golden[key]}" for key in sorted(golden))
        GOLDEN.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    np.testing.assert_allclose(losses, golden.get(name), rtol=1e-3, err_msg=REGENERATE)
