"""The flags that all builders share; a main imports this and adopts them.

    flags.adopt_module_key_flags(builder_flags)

Only mains may read them.
"""

from absl import flags

from selfsup.command_line import path_flags
from selfsup.common.errors import UserError

INPUT = path_flags.define_paths(
    "input",
    None,
    "Folder that is searched for inputs, subfolders included, or as said above.",
)
OUTPUT = path_flags.define_path(
    "output",
    None,
    "Folder for the shards and their manifest; made if missing. Running the same "
    "command again goes on where an interrupted build stopped.",
)
WORKERS = flags.DEFINE_integer(
    "workers", 0, "Worker processes; 0 takes one for each CPU.", lower_bound=0
)
NUM_SHARDS = flags.DEFINE_integer(
    "num_shards",
    0,
    "Training shards; 0 chooses by the number of inputs. An interrupted build loses "
    "at most one unfinished shard a worker.",
    lower_bound=0,
)
VALIDATION_FRACTION = flags.DEFINE_float(
    "validation_fraction",
    0.05,
    "Share of the inputs that is held out, chosen by a hash of their names.",
    lower_bound=0.0,
    upper_bound=0.9,
)


RUNNER = flags.DEFINE_enum(
    "runner",
    "local",
    ["local", "beam"],
    "Where inputs are converted: local, in processes of this machine; beam, on an "
    "engine of Apache Beam. Both make the same shards.",
)
BEAM_OPTIONS = flags.DEFINE_string(
    "beam_options",
    "",
    "Apache Beam's options, as on a command line: \"--runner=FlinkRunner "
    '--flink_master=HOST:8081". Its workers need this package, and the input and '
    "output folders at the same paths. Without --runner, Beam's local engine.",
)


def required(*names):
    """Refuses to start without the flags `names`."""
    flags.mark_flags_as_required(names)


def input_folder() -> str:
    """The one folder that --input names.

    Raises:
      UserError: when it names several.
    """
    if len(INPUT.value) > 1:
        raise UserError(
            f"--input={','.join(INPUT.value)}: expected one folder; nothing has this "
            "name with its commas"
        )
    return INPUT.value[0]


def build_options():
    """The flags' values that all builders hand to `writer.build`."""
    return {
        "num_shards": NUM_SHARDS.value,
        "workers": WORKERS.value,
        "runner": RUNNER.value,
        "beam_options": BEAM_OPTIONS.value,
    }
