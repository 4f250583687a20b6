"""The code blocks of docs/adding_a_trunk.md are the file vgg.py."""

import re

import documented_code

from selfsup.trunk import REGISTRY

PAGE = "docs/adding_a_trunk.md"


def test_the_python_blocks_are_the_file():
    documented_code.assert_page_is_file(PAGE, "selfsup/trunk/vgg.py")


def test_the_registry_line_is_in_the_registry():
    line = documented_code.registry_line(PAGE)
    name, location, depths = re.fullmatch(
        r'"(\w+)": Kind\("([\w.:]+)", \((.*)\)\),', line
    ).groups()
    assert REGISTRY[name].location == location
    assert ", ".join(f'"{depth}"' for depth in REGISTRY[name].depths) == depths
