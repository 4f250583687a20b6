"""Measures how often each color occurs in your photos, for colorization.

    python -m data_prep.color_prior --data=DIR --output=FILE

--data holds built data sets; the command reads their training photos. It writes a CSV
file of the columns a, b and prior: the 313 ab bins and the frequency of each. Training
gives rare colors more weight; without such a file, it uses the frequencies in ImageNet.
"""

from __future__ import annotations

import sys

from selfsup.command_line import command, path_flags

_DATA = path_flags.define_path(
    "data", None, "Folder with built data sets.", required=True
)
_OUTPUT = path_flags.define_path("output", None, "CSV file to write.", required=True)


def main(argv: list[str]) -> None:
    del argv
    from selfsup.data import manifest

    sets = manifest.find(_DATA.value)
    from data_prep.inspection import ab_histogram

    prior = ab_histogram.write_color_prior(sets, _OUTPUT.value)
    print(
        f"{_OUTPUT.value}: {(prior > 1e-6).sum()} of {len(prior)} bins occur; the most "
        f"frequent bin has {prior.max():.1%}",
        file=sys.stderr,
    )


def run() -> None:
    command.run(main, "data_prep.color_prior")


if __name__ == "__main__":
    run()
