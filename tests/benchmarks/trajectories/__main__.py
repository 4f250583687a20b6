"""Times Improved Dense Trajectories, and compares ways to match features.

    python -m tests.benchmarks.trajectories [parts] [matchers] [workers]

Prints the tables of docs/trajectories.md; by default all of them. The videos are
constructed, of 320x240 pixels; people are not masked. `parts` and `matchers` measure CPU
time on one thread: medians over windows of ten frame pairs, and ratios of times from the
same window. `workers` measures elapsed time.
"""

from __future__ import annotations

import argparse
import importlib
import os

_TABLES = ("parts", "matchers", "workers")


def main() -> None:
    """Prints the tables that the arguments name."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # `choices` would refuse an empty list.
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(_TABLES))
    names = parser.parse_args().tables or _TABLES
    for name in names:
        if name not in _TABLES:
            parser.error(f"unknown table {name!r}; expected {', '.join(_TABLES)}")

    # Before TensorFlow is imported, whose start-up messages would hide the tables.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import cv2

    cv2.setNumThreads(1)
    for name in names:
        importlib.import_module(f"tests.benchmarks.trajectories.{name}").print_table()
        print()


if __name__ == "__main__":
    main()
