"""Shows what a built data set holds: statistics and a contact sheet.

    python -m data_prep.inspect DIR [--verify] [--output=SHEET.png]

DIR is a built data set, or a folder with several. The command prints statistics of
records, sizes, classes, masks, boxes and depth, and the reasons why inputs were set
aside. The contact sheet shows random records with their boxes, masks (foreground red,
ignored cells gray) and depth. --verify checks every shard against the manifest, and the
checksum, image, label, mask, boxes and depth of every record; if something is damaged,
the command names the shards and exits with status 1.
"""

from __future__ import annotations

from absl import flags

from selfsup.command_line import command, path_flags

_VERIFY = flags.DEFINE_bool(
    "verify", False, "Checks every shard and every record; slower than the statistics."
)
_OUTPUT = path_flags.define_path(
    "output",
    None,
    "PNG file for the contact sheet; by default DIR.png. With several data sets, the "
    "name of each folder is added to the file's name.",
)
_SAMPLE = flags.DEFINE_integer(
    "sample", 24, "Records on the contact sheet; 0 for no sheet.", lower_bound=0
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of the choice of records on the sheet.", lower_bound=0
)
_MAX_RECORDS = flags.DEFINE_integer(
    "max_records",
    0,
    "Records of each split to read for the statistics, from all its shards; 0 for all.",
    lower_bound=0,
)
_WORKERS = flags.DEFINE_integer(
    "workers", 0, "Worker processes; 0 starts one for each CPU.", lower_bound=0
)


def main(argv: list[str]) -> int:
    import os

    from selfsup.data import manifest as manifests

    root = path_flags.positional("DIR", argv[1]).rstrip("/") or "/"
    sets = manifests.find(root)
    from data_prep.inspection import report

    is_damaged = False
    for manifest in sets:
        directory = os.path.abspath(manifest.directory)
        is_damaged |= bool(report.show(manifest, _MAX_RECORDS.value, _WORKERS.value))
        if _SAMPLE.value:
            output = report.sheet_path(_OUTPUT.value, directory, len(sets))
            report.save_sheet(manifest, output, _SAMPLE.value, _SEED.value)
        if _VERIFY.value:
            is_damaged |= bool(report.verify(manifest, _WORKERS.value))
    return 1 if is_damaged else 0


def run() -> None:
    command.run(main, "data_prep.inspect", positional="DIR")


if __name__ == "__main__":
    run()
