"""Writes pooled trunk features of a folder of photos, and a picture of neighbours.

  python -m launch.features --trunk=DIR --input=DIR --output=FILE.npz

The file has `features`, float32 [N, C], the mean of the trunk's output over all
positions, and `keys` [N], paths relative to the folder. The picture FILE.png has a photo
in each row, on the left, followed by its nearest neighbours, the nearest first.
"""

from __future__ import annotations

from absl import flags

from selfsup.command_line import command, path_flags

_TRUNK = path_flags.define_readable(
    "trunk", None, "Exported trunk (SavedModel folder).", required=True
)
_INPUT = path_flags.define_path(
    "input", None, "Folder of photos, including subfolders.", required=True
)
_OUTPUT = path_flags.define_path(
    "output", None, "The .npz file to write.", required=True
)
_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size",
    224,
    "Side in pixels to which photos are resized and cropped at the centre.",
    lower_bound=32,
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Photos a batch.", lower_bound=1)
_QUERIES = flags.DEFINE_integer(
    "queries", 8, "Photos whose neighbours are drawn; 0 for no picture.", lower_bound=0
)


def main(_: list[str]) -> None:
    """Reads the flags, extracts and draws."""
    from launch import feature_extraction
    from selfsup.common.errors import UserError

    if not _OUTPUT.value.endswith(".npz"):
        raise UserError(f"--output={_OUTPUT.value}: expected a name ending in .npz")
    count = feature_extraction.extract(
        _TRUNK.value, _INPUT.value, _OUTPUT.value, _IMAGE_SIZE.value, _BATCH_SIZE.value
    )
    print(f"features of {count} photos: {_OUTPUT.value}")
    if _QUERIES.value and count > 1:
        picture = f"{_OUTPUT.value[:-4]}.png"
        feature_extraction.draw_neighbours(
            _OUTPUT.value, _INPUT.value, picture, _QUERIES.value
        )
        print(f"nearest neighbours: {picture}")


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "launch.features")


if __name__ == "__main__":
    run()
