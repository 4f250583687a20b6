"""Builds a data set from a folder of photos and its subfolders.

    python -m data_prep.photos --input=DIR --output=DIR [--labels=folders]

Reads JPEG, PNG, WebP, GIF (first frame), BMP, TIFF, HEIC, AVIF and JPEG 2000: gray,
palette, alpha (composited over white), CMYK, 16-bit, rotated by EXIF. Upright JPEGs keep
their bytes. set_aside.tsv lists unusable files with the reasons; repaired.tsv lists JPEGs
that could not keep their bytes or lacked their end marker, CMYK, and files of another
format than their name says. Run the same command again to resume an interrupted build.
"""

from __future__ import annotations

from absl import flags

from data_prep.flags import builders, photos
from selfsup.command_line import command

_LABELS = flags.DEFINE_enum(
    "labels",
    "none",
    ["none", "folders"],
    "none: no labels. folders: the folder directly below --input names the class.",
)
flags.adopt_module_key_flags(photos)
flags.adopt_module_key_flags(builders)


def main(argv: list[str]) -> None:
    del argv
    from data_prep.sources import photo_builder

    photo_builder.build_photos(
        directory=builders.INPUT.value,
        output=builders.OUTPUT.value,
        labels=_LABELS.value,
        **photos.size_limits(),
        **builders.hold_out_options(),
    )


def run() -> None:
    builders.require("input", "output")
    command.run(main, "data_prep.photos")


if __name__ == "__main__":
    run()
