"""Checks what is written for an accelerator; `make check-accelerator` runs it with JAX."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from selfsup.pretraining import configuration
from selfsup.trunk.trunk import TrunkConfig
from tests.benchmarks.accelerator import arguments, export
from tests.benchmarks.accelerator.arguments import Argument

SMALL = ["colorization.batch_size=2", "colorization.image_size=32"]


def test_a_step_of_the_trunk_can_be_read_back(tmp_path: pathlib.Path) -> None:
    written = export.write_trunk(TrunkConfig("tiny"), 2, 32, tmp_path, True)
    step, module, values = arguments.read(tmp_path / f"{written.name}.json")
    assert step.name == "trunk-float32-phases-2x32" and step.images == 2
    assert values[0].shape == (2, 32, 32, 3) and 0 <= values[0].min() <= 1
    kernels = [each for each in step.arguments if "kernel" in each.name]
    assert len(kernels) == 28
    # A module of XLA begins with its name.
    assert b"step" in module[:200] or b"compute" in module[:200]
    # The loss, gradients, and the moving statistics that the forward pass assigns.
    statistics = [name for name in step.outputs if "moving" in name]
    assert step.digests is not None and len(step.digests) == len(step.outputs)
    assert len(statistics) == 48
    assert np.isfinite(step.digests).all() and step.digests[0][0] > 0


@pytest.mark.slow
def test_the_step_of_a_task_updates_all_its_variables(tmp_path: pathlib.Path) -> None:
    config = configuration.resolve("tiny", ["colorization"], task_overrides=SMALL)
    step = export.write_task(config, "colorization", tmp_path, True)
    names = [each.name for each in step.arguments]
    updated = [name for name in names if "kernel" in name or "gamma" in name]
    assert updated and set(updated) <= set(step.outputs)
    # Two slots of RMSProp for each variable; slots have no names of their own.
    slots = [name for name in step.outputs if name.startswith("Variable")]
    kinds = ("kernel", "gamma", "beta", "bias")
    trained = [name for name in names if name.rpartition("/")[2].startswith(kinds)]
    assert len(slots) == 2 * len(trained)
    assert "outside" in step.note


def test_values_follow_from_their_description() -> None:
    kernel = Argument("a/kernel", (3, 3, 4, 5), "float32", arguments.NORMAL, high=0.5)
    values = kernel.value(7, {})
    np.testing.assert_array_equal(values, kernel.value(7, {}))
    assert values.dtype == np.float32 and 0.4 < values.std() < 0.6
    assert np.any(values != kernel.value(8, {}))
    stored = Argument("labels", (2,), "int32", arguments.STORED)
    np.testing.assert_array_equal(stored.value(1, {1: np.array([4, 5])}), [4, 5])


def test_one_wrong_element_changes_a_digest() -> None:
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    wrong = values.copy()
    wrong[[10, 20]] = values[[20, 10]]
    expected = [arguments.digest(values)]
    same, _ = arguments.largest_difference([arguments.digest(values)], expected)
    other, index = arguments.largest_difference([arguments.digest(-wrong)], expected)
    assert same == 0 and other > 1e-3 and index == 0


def test_rounding_errors_of_a_zero_gradient_are_no_difference() -> None:
    expected = [(1.0, 0.5), (2.0, 1.0), (1e-9, 3e-10)]
    difference, _ = arguments.largest_difference(
        [(1.0, 0.5), (2.0, 1.0), (3e-9, -1e-9)], expected
    )
    assert difference < 1e-4
