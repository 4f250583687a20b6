"""Scores motion masks and a simple baseline.

    python -m tests.benchmarks.motion_masks [WORLD ...]

Prints the table of docs/trajectories.md, for constructed scenes. With WORLD, a folder of
data_prep.synthetic, it scores the videos of that folder instead.
"""

from __future__ import annotations

import argparse
import os


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("worlds", nargs="*", metavar="WORLD")
    worlds = parser.parse_args().worlds

    # Before TensorFlow is imported, whose start-up messages would hide the table.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import cv2

    from tests.benchmarks.motion_masks import scoring, suites
    from tests.benchmarks.table import Table

    def add(name: str, score: scoring.Score) -> None:
        table.add(
            name,
            f"{score.iou:.3f}",
            f"{score.strict_iou:.3f}",
            f"{score.baseline_iou:.3f}",
            f"{score.false:.1%}",
            f"{score.baseline_false:.1%}",
            f"{score.ignored:.0%}",
        )

    cv2.setNumThreads(1)
    table = Table(
        "scenes",
        "IoU",
        "IoU, ignored as background",
        "baseline IoU",
        "false foreground, of all cells",
        "baseline's",
        "ignored",
    )
    for world in worlds:
        scores = scoring.score_world(world)
        add(f"synthetic world, {len(scores)} frames", scoring.mean(scores))
    if not worlds:
        add("moving objects", scoring.mean_of_suite(suites.moving_objects()))
        add("slow objects", scoring.mean_of_suite(suites.slow_objects()))
        add("large objects", scoring.mean_of_suite(suites.large_objects()))
        add("static scenes", scoring.mean_of_suite(suites.static_scenes()))


if __name__ == "__main__":
    main()
