import dataclasses
import re

import pytest

from launch import presets
from selfsup import tasks
from selfsup.trunk.resnet_v2 import TrunkConfig


def _read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize("name", sorted(tasks.REGISTRY))
def test_every_hyperparameter_of_a_task_is_documented(name):
    documented = set(re.findall(r"`(\w+)`", _read("docs/hyperparameters.md")))
    fields = {field.name for field in dataclasses.fields(tasks.task_class(name).Config)}
    assert fields <= documented


def test_every_hyperparameter_of_the_trunk_is_documented():
    documented = set(re.findall(r"`(\w+)`", _read("docs/hyperparameters.md")))
    assert {field.name for field in dataclasses.fields(TrunkConfig)} <= documented


@pytest.mark.parametrize("name", sorted(presets.PRESETS))
def test_presets_override_fields_that_exist(name):
    preset = presets.PRESETS[name]
    dataclasses.replace(TrunkConfig(), **preset.trunk)
    for task, overrides in preset.tasks.items():
        dataclasses.replace(tasks.task_class(task).Config(), **overrides)
