"""The flags that all builders share. A main imports this module and adopts its flags:

    flags.adopt_module_key_flags(builders)

Only mains may read them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from selfsup.command_line import path_flags

if TYPE_CHECKING:
    from data_prep.sources.build_options import BuildOptions, HoldOutOptions

INPUT = path_flags.define_path(
    "input", None, "Folder to search for inputs, with its subfolders."
)
OUTPUT = path_flags.define_path(
    "output",
    None,
    "Folder for the shards and their manifest; made if missing. Run the same command "
    "again to resume an interrupted build.",
)
WORKERS = flags.DEFINE_integer(
    "workers", 0, "Worker processes; 0 starts one for each CPU.", lower_bound=0
)
NUM_SHARDS = flags.DEFINE_integer(
    "num_shards",
    0,
    "Training shards; 0 chooses by the number of inputs. When an interrupted build is "
    "resumed, each worker repeats at most one unfinished shard.",
    lower_bound=0,
)
VALIDATION_FRACTION = flags.DEFINE_float(
    "validation_fraction",
    0.05,
    "Share of the inputs to hold out, chosen by a hash of their names.",
    lower_bound=0.0,
    upper_bound=0.9,
)
RUNNER = flags.DEFINE_enum(
    "runner",
    "local",
    ["local", "beam"],
    "local: converts inputs in processes of this machine; beam: on an engine of Apache "
    "Beam. Both make the same shards.",
)
BEAM_OPTIONS = flags.DEFINE_string(
    "beam_options",
    "",
    'Options of Apache Beam, as on a command line: "--runner=FlinkRunner '
    '--flink_master=HOST:8081". Its workers need this package, and the input and '
    "output folders at the same paths. Without --runner, Beam uses its local engine.",
)


def require(*names: str) -> None:
    """Marks flags as required."""
    flags.mark_flags_as_required(names)  # type: ignore[no-untyped-call]  # In absl.


def accept_several_inputs(text: str) -> None:
    """Makes --input a list of paths; to be called by the `run` of a main.

    Args:
      text: the new help text.
    """
    flag = flags.FLAGS["input"]
    flag.parser, flag.help = path_flags.PathsParser(), text


def build_options() -> BuildOptions:
    """Returns the values of the flags for `dataset_build.build`."""
    return {
        "num_shards": NUM_SHARDS.value,
        "workers": WORKERS.value,
        "runner": RUNNER.value,
        "beam_options": BEAM_OPTIONS.value,
    }


def hold_out_options() -> HoldOutOptions:
    """Returns the values of the flags, with the share of inputs to hold out."""
    return {
        **build_options(),
        "validation_fraction": VALIDATION_FRACTION.value,
    }
