"""The code blocks of docs/adding_a_task.md are the file rotation.py."""

import re

import documented_code

from selfsup.tasks import REGISTRY

PAGE = "docs/adding_a_task.md"


def test_the_python_blocks_are_the_file():
    documented_code.assert_page_is_file(PAGE, "selfsup/tasks/rotation.py")


def test_the_registry_line_is_in_the_registry():
    line = documented_code.registry_line(PAGE)
    name, target = re.fullmatch(r'"(\w+)": "([\w.:]+)",', line).groups()
    assert REGISTRY[name] == target
