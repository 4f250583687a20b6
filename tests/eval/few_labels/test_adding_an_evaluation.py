"""The code blocks of docs/adding_an_evaluation.md are the file evaluation.py."""

import re

import documented_code

from eval import registry

PAGE = "docs/adding_an_evaluation.md"


def test_the_python_blocks_are_the_file():
    documented_code.assert_page_is_file(PAGE, "eval/few_labels/evaluation.py")


def test_the_registry_line_is_in_the_registry():
    line = documented_code.registry_line(PAGE)
    name, location = re.fullmatch(r'"(\w+)": "([\w.:]+)",', line).groups()
    assert registry.EVALUATIONS[name] == location
