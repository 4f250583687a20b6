"""What a run says of its devices before it starts."""

from __future__ import annotations

import pytest
import tensorflow as tf

from selfsup.common import processor
from selfsup.hybrid import assignment
from selfsup.pretraining import configuration, devices


@pytest.mark.parametrize(
    ("mixed", "instruction_sets", "gpus", "told"),
    [
        (True, {"avx2"}, [], True),
        (True, {"avx2", "avx512_bf16"}, [], False),
        (True, {"avx2"}, ["GPU:0"], False),
        (False, {"avx2"}, [], False),
    ],
)
def test_slow_bfloat16_is_told(
    mixed: bool,
    instruction_sets: set[str],
    gpus: list[str],
    told: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processor, "flags", lambda: frozenset(instruction_sets))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    config = configuration.resolve("tiny", ["colorization"], mixed_precision=mixed)
    assigned = assignment.assign(config.tasks, ("/CPU:0",), ("/CPU:0",), {}, "hybrid")
    text = devices.describe(assigned, config)
    assert ("no bfloat16 instructions" in text) is told
    assert "examples per step" in text
