"""The first losses of each task are one file's numbers, whichever TensorFlow runs."""

import json
import os
import pathlib

import numpy as np
import pytest

from selfsup.tasks import REGISTRY

GOLDEN = pathlib.Path(__file__).parent / "golden" / "first_losses.json"
REGENERATE = (
    "the losses of the first steps changed, or differ between the two sets of packages; "
    "if a change is meant, regenerate on TensorFlow 2.15 with REGENERATE_GOLDEN=1 "
    "python -m pytest tests/tasks/test_first_steps.py and run it on the other set too"
)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_losses_of_the_first_steps(name, tiny, train):
    """Weights, input pipeline and on-device preprocessing all follow from the seed."""
    found = train(tiny(name), steps=3)
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("REGENERATE_GOLDEN"):
        golden[name] = found
        rows = (f" {json.dumps(key)}: {golden[key]}" for key in sorted(golden))
        GOLDEN.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    np.testing.assert_allclose(found, golden.get(name), rtol=1e-3, err_msg=REGENERATE)
