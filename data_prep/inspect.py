"""Shows what a built data set holds: numbers, and a contact sheet.

    python -m data_prep.inspect DIR [--verify] [--output=SHEET.png]

DIR is a built set, or a folder with several. Prints records, sizes, classes, masks,
boxes and depth, whatever a set has, and what was set aside. The contact sheet is a
random sample with boxes, masks (foreground red, ignored gray) and depth drawn in.
--verify reads everything and checks it against the manifest: shards' checksums, and
each record's checksum, image, label, mask, boxes and depth. It exits with 1 where
something is wrong, and names the shards.
"""

from absl import flags

from selfsup.command_line import command, path_flags

_VERIFY = flags.DEFINE_bool(
    "verify", False, "Check every shard and every record; slower than the statistics."
)
_OUTPUT = path_flags.define_path(
    "output",
    None,
    "PNG for the contact sheet; beside the set's folder, named like it, when not given. "
    "With several sets each one's folder is added to the name.",
)
_SAMPLE = flags.DEFINE_integer(
    "sample", 24, "Records on the contact sheet; 0: no sheet.", lower_bound=0
)
_SEED = flags.DEFINE_integer("seed", 0, "Of the sheet's sample.", lower_bound=0)
_MAX_RECORDS = flags.DEFINE_integer(
    "max_records",
    0,
    "Records a split that statistics are taken of, spread over its shards; 0: all.",
    lower_bound=0,
)
_WORKERS = flags.DEFINE_integer(
    "workers", 0, "Worker processes; 0 takes one for each CPU.", lower_bound=0
)


def main(argv):
    import os

    from selfsup.data import manifest as manifests

    root = path_flags.positional("DIR", argv[1]).rstrip("/") or "/"
    sets = manifests.find(root)
    from data_prep.inspection import report

    failed = False
    for one in sets:
        output = report.sheet_path(
            _OUTPUT.value, os.path.abspath(one.directory), len(sets)
        )
        problems = report.show(
            one, max_records=_MAX_RECORDS.value, workers=_WORKERS.value
        )
        if _SAMPLE.value:
            report.save_sheet(one, output, _SAMPLE.value, _SEED.value)
        if _VERIFY.value:
            problems = report.verify(one, _WORKERS.value)
        failed = failed or bool(problems)
    return 1 if failed else 0


def run():
    command.run(main, "data_prep.inspect", positional="DIR")


if __name__ == "__main__":
    run()
