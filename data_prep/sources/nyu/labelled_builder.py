"""Builds a data set from the labelled set of NYU Depth v2.

The set has 795 training and 654 test frames.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from data_prep.build import dataset_build
from data_prep.build.inputs import Input
from data_prep.sources.nyu import labelled_conversion, labelled_listing
from selfsup.data import manifest as manifests

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from data_prep.sources.build_options import BuildOptions

# Time limit of a frame; the conversion takes milliseconds.
_SECONDS = 120


def build_labelled(
    *,
    labelled: str,
    splits: str,
    output: str,
    depth: str = labelled_conversion.FILLED,
    min_valid: float = 0.01,
    **build_options: Unpack[BuildOptions],
) -> manifests.Manifest:
    """Builds a data set from the labelled set, or resumes an interrupted build.

    Args:
      labelled: nyu_depth_v2_labeled.mat, or a file of its format.
      splits: splits.mat, with trainNdxs and testNdxs.
      output: the folder for the shards.
      depth: "filled" for the in-painted depth, "raw" for the sensor's depth.
      min_valid: share of a frame's pixels whose depth must be known.
      **build_options: see `dataset_build.build`.

    Returns:
      the `Manifest` of the finished data set.

    Raises:
      UserError: a file is damaged or has another layout; or for a reason that
        `dataset_build.build` lists.
    """
    listing = labelled_listing.list_labelled(
        labelled_listing.Request(
            labelled, splits, labelled_conversion.DEPTH_ARRAYS[depth]
        )
    )
    print(
        f"{labelled}: {listing.frames} frames of {listing.width}x{listing.height} "
        f"pixels; {len(listing.train)} training, {len(listing.test)} test",
        file=sys.stderr,
    )
    return dataset_build.build(
        output=output,
        kind=manifests.RGBD,
        features=("image", "depth"),
        inputs=_list_inputs(listing),
        convert=labelled_conversion.LabelledConverter(
            os.path.abspath(labelled), depth, min_valid
        ),
        options={
            "source": "labelled",
            "depth": depth,
            "min_valid": min_valid,
            "image": "PNG",
        },
        containers=(labelled, splits),
        time_limit=_SECONDS,
        **build_options,
    )


def _list_inputs(listing: labelled_listing.Listing) -> Iterator[Input]:
    """Yields an `Input` per frame; keys number the frames from 1, as the papers do."""
    for split, rows in (("train", listing.train), ("test", listing.test)):
        for row in rows:
            yield Input(f"labelled/{row + 1:05d}", split, str(row))
