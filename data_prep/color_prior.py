"""Measures how often each color occurs in your own photos, for colorization.

    python -m data_prep.color_prior --data=DIR --output=FILE

--data holds built sets; their training photos count. The CSV file written has the
columns a, b and prior: the 313 ab bins and the frequency of each. Rare colors get
more weight in training. Without such a file, ImageNet's frequencies are taken.
"""

import sys

from absl import flags

from selfsup.command_line import command, path_flags

_DATA = path_flags.define_path("data", None, "Folder with data sets built before.")
_OUTPUT = path_flags.define_path("output", None, "CSV file to write.")


def main(argv):
    del argv
    from selfsup.data import manifest

    sets = manifest.find(_DATA.value)
    from data_prep.inspection import ab_histogram

    prior = ab_histogram.write_color_prior(sets, _OUTPUT.value)
    print(
        f"{_OUTPUT.value}: {(prior > 1e-6).sum()} of {len(prior)} bins are in use; "
        f"the most frequent has {prior.max():.1%}",
        file=sys.stderr,
    )


def run():
    flags.mark_flags_as_required(["data", "output"])
    command.run(main, "data_prep.color_prior")


if __name__ == "__main__":
    run()
