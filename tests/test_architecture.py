"""Imports go one way; flags are read by mains alone; help needs no TensorFlow."""

import ast
import functools
import pathlib
import re
import subprocess
import sys

import pytest

from selfsup.pretraining import configuration

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ("selfsup", "data_prep", "eval", "launch")

# What a package may import of ours; the longest prefix that fits a module decides.
MAY_IMPORT = {
    "launch": ("launch", "eval", "data_prep", "selfsup"),
    "eval": ("eval", "selfsup"),
    "data_prep": (
        "data_prep",
        "selfsup.command_line",
        "selfsup.common",
        "selfsup.data",
        "selfsup.formats",
        "selfsup.images",
    ),
    "selfsup": ("selfsup.common.warning_filters",),
    "selfsup.keras": (),
    "selfsup.common": ("selfsup.common",),
    "selfsup.command_line": ("selfsup.command_line", "selfsup.common"),
    "selfsup.data": ("selfsup.common", "selfsup.data"),
    "selfsup.formats": ("selfsup.common", "selfsup.formats"),
    "selfsup.images": ("selfsup.common", "selfsup.images"),
    "selfsup.trunk": ("selfsup.common", "selfsup.keras", "selfsup.trunk"),
    "selfsup.tasks": (
        "selfsup.common",
        "selfsup.data.records",
        "selfsup.images",
        "selfsup.keras",
        "selfsup.tasks",
        # Parts of heads, and what they are made to; the trunk itself is not a task's.
        "selfsup.trunk.REGISTRY",
        "selfsup.trunk.build_tail",
        "selfsup.trunk.classifier",
        "selfsup.trunk.layers",
        "selfsup.trunk.residual",
        "selfsup.trunk.trunk.TrunkConfig",
        "selfsup.trunk.trunk_class",
    ),
    # The loop knows of models only what `hybrid.workload` says.
    "selfsup.hybrid": ("selfsup.common", "selfsup.hybrid", "selfsup.keras"),
    "selfsup.pretraining": (
        "selfsup.common",
        "selfsup.data",
        "selfsup.hybrid",
        "selfsup.images",
        "selfsup.keras",
        "selfsup.pretraining",
        "selfsup.tasks",
        "selfsup.trunk",
    ),
    "selfsup.export": ("selfsup",),
}
# Neither TensorFlow Addons nor TensorFlow I/O loads on a current TensorFlow, and Keras 2
# has another name there: one module each knows of it.
ONE_IMPORTER = {
    "tensorflow_addons": "selfsup.images.projection",
    "tensorflow_io": "selfsup.images.color",
    "tf_keras": "selfsup.keras",
}
# Modules beside the mains that define flags; the mains that share the flags read them.
FLAG_MODULES = {
    "data_prep.flags.builders",
    "data_prep.flags.photos",
    "eval.evaluation_flags",
    "launch.network_flags",
}
# Modules beside these whose texts have flags, and why.
WRITES_FLAGS = {
    "data_prep.build.beam_runner": "options of Beam",
    "launch.pipeline.commands": "composes command lines",
    "launch.pipeline.machine": "options of nvidia-smi",
    "launch.studies.machine": "options of nvidia-smi",
    "selfsup.command_line.command": "prints errors of libraries for users of a command",
}
# A command in a text, which its reader is to type.
COMMAND_LINE = re.compile(r"python -m [\w.]+( --\S+| [A-Z]+\b)*")
SLOW_TO_IMPORT = ("tensorflow", "av", "cv2", "scipy", "sklearn", "matplotlib")


def _modules():
    """{dotted name: path} of all modules of ours."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = _modules()


@functools.cache
def _tree(name):
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def _imports(name):
    """Dotted names that a module imports anywhere in it, functions included."""
    found = set()
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: relative import"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def _within(name, packages):
    return any(name == one or name.startswith(one + ".") for one in packages)


def _commands():
    """{console command: module} of setup.py."""
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "COMMANDS":
            return ast.literal_eval(node.value)
    raise AssertionError("setup.py has no COMMANDS")


def _is_main(name):
    """Whether the module starts with `command.run(main, "its name"...`."""
    return f'command.run(main, "{name}"' in MODULES[name].read_text(encoding="utf-8")


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_one_way(name):
    rule = max((one for one in MAY_IMPORT if _within(name, [one])), key=len)
    ours = {one for one in _imports(name) if _within(one, PACKAGES)}
    wrong = {one for one in ours if not _within(one, MAY_IMPORT[rule])}
    assert not wrong, f"{rule} may import {MAY_IMPORT[rule]} alone"


def test_eval_is_never_imported_as_a_name():
    """It would hide the builtin."""
    assert not [name for name in MODULES if "eval" in _imports(name)]


@pytest.mark.parametrize("package", ONE_IMPORTER)
def test_one_module_imports(package):
    users = [
        name for name in MODULES if any(_within(i, [package]) for i in _imports(name))
    ]
    assert users == [ONE_IMPORTER[package]]


def _names_of_keras(path):
    """Lines of a file that reach Keras by a name which is Keras 3 on some TensorFlow."""
    wrong = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute) and node.attr == "keras":
            names = [ast.unparse(node)]
        other = ("tf.keras", "tensorflow.keras", "keras", "tf_keras")
        if any(_within(name, other) for name in names):
            wrong.append(node.lineno)
    return wrong


def test_keras_is_imported_from_our_module():
    ours = [*MODULES.values(), *(ROOT / "tests").rglob("*.py")]
    found = {
        str(path.relative_to(ROOT)): lines
        for path in ours
        if path != MODULES["selfsup.keras"] and (lines := _names_of_keras(path))
    }
    assert not found, "use `from selfsup.keras import keras`"


@pytest.mark.parametrize(
    "function", ["VideoCapture", "VideoWriter", "imread", "imwrite"]
)
def test_opencv_opens_no_file(function):
    """A name that is not UTF-8 ends the process there."""
    users = [
        name for name, path in MODULES.items() if f"cv2.{function}" in path.read_text()
    ]
    assert not users


def test_flags_are_for_mains():
    users = {name for name in MODULES if _within("absl.flags", _imports(name))}
    library = {name for name in users if not _is_main(name)}
    assert library == {
        "selfsup.command_line.command",
        "selfsup.command_line.path_flags",
        *FLAG_MODULES,
    }


def _strings(nodes):
    return [node.value for node in nodes if isinstance(node, ast.Constant)]


@functools.cache
def _defined_flags():
    """Names of the flags that any module defines by `DEFINE_...` or `path_flags`."""
    names = set()
    for name in MODULES:
        for node in ast.walk(_tree(name)):
            function = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if re.match(r"(flags\.DEFINE_|path_flags\.define_)", function):
                names.update(_strings(node.args[:1]))
    # `launch.pretrain` defines these in a loop.
    names.update(configuration.options())
    return frozenset(names)


def _texts(tree):
    """(line, text) of each string; the values in an f-string are {}."""
    inside = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside.update(map(id, node.values))
            parts = (getattr(part, "value", "{}") for part in node.values)
            yield (
                node.lineno,
                "".join(part if isinstance(part, str) else "{}" for part in parts),
            )
        elif isinstance(getattr(node, "value", None), str) and id(node) not in inside:
            yield node.lineno, node.value


def _written_flags(text):
    """Flags that a text writes, without those of command lines and of arrows `--x-->`."""
    found = re.findall(r"(?<![\w-])--(\w+|\{)(?!.*-->)", COMMAND_LINE.sub("", text))
    return {name for name in found if name == "{" or name in _defined_flags()}


def test_written_flags_are_found():
    assert _written_flags("give --tasks or --seed=1") == {"tasks", "seed"}
    assert _written_flags("no --{}") == {"{"}
    others = "run python -m data_prep.inspect DIR --verify; var(--muted); x --data--> y"
    assert not _written_flags(others)


@pytest.mark.parametrize("name", MODULES)
def test_libraries_write_no_flags(name):
    """A library names the field; `command.run` adds the dashes to a `SettingError`."""
    if name in FLAG_MODULES or name in WRITES_FLAGS or _is_main(name):
        return
    found = [
        (line, flags)
        for line, text in _texts(_tree(name))
        if (flags := _written_flags(text))
    ]
    assert not found, "name the field, or use launch.pipeline.commands.option"


def test_advised_options_are_flags():
    names = {
        option
        for name in MODULES
        for node in ast.walk(_tree(name))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "option"
        for option in _strings(node.args[:1])
    }
    assert names
    assert names <= _defined_flags()


def test_every_main_is_a_console_command():
    mains = {name for name in MODULES if _is_main(name)}
    assert mains == set(_commands().values())


@pytest.mark.parametrize("name", sorted(_commands().values()))
def test_help_is_quick_and_whole(name):
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "importtime",
            "-m",
            name.replace(".__main__", ""),
            "--help",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    first_line = ast.get_docstring(_tree(name)).splitlines()[0]
    assert done.stdout.startswith(first_line)
    assert re.search(r"^  --\w+: ", done.stdout, re.MULTILINE)
    loaded = re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE)
    assert "absl.flags" in loaded
    assert not {one for one in loaded if _within(one, SLOW_TO_IMPORT)}
