"""The labelled set of NYU Depth v2, 795 training and 654 test frames, to records."""

import dataclasses
import os
import sys

from data_prep.build import writer
from data_prep.sources.nyu import labelled_listing
from selfsup.data import manifest as manifests

FILLED, RAW = "filled", "raw"
# The arrays of the .mat file.
_DATASETS = {FILLED: "depths", RAW: "rawDepths"}
# Of a row; one takes milliseconds.
_SECONDS = 120


def build_labelled(
    *, labelled, splits, output, depth=FILLED, min_valid=0.01, **build_options
):
    """Builds or resumes the labelled set.

    Args:
      labelled: nyu_depth_v2_labeled.mat, or a file of its format.
      splits: splits.mat, with trainNdxs and testNdxs.
      output: folder for the shards.
      depth: "filled" for the in-painted depth, "raw" for what the sensor saw.
      min_valid: share of a frame's pixels whose depth must be known.
      **build_options: as in `writer.build`.

    Returns:
      the `Manifest`.

    Raises:
      UserError: the files are not what they should be, or as `writer.build`.
    """
    listing = labelled_listing.list_labelled(
        labelled_listing.Request(labelled, splits, _DATASETS[depth])
    )
    print(
        f"{labelled}: {listing.frames} frames of {listing.width}x{listing.height} "
        f"pixels; {len(listing.train)} training, {len(listing.test)} test",
        file=sys.stderr,
    )
    return writer.build(
        output=output,
        kind=manifests.RGBD,
        features=("image", "depth"),
        inputs=_inputs(listing),
        convert=LabelledConverter(os.path.abspath(labelled), depth, min_valid),
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


def _inputs(listing):
    """Frames are numbered from 1, as they are in the literature."""
    for split, rows in (("train", listing.train), ("test", listing.test)):
        for row in rows:
            yield writer.Input(f"labelled/{row + 1:05d}", split, str(row))


@dataclasses.dataclass(frozen=True)
class LabelledConverter:
    """Converts one row of the .mat file; a `convert` of `writer.build`.

    Attributes:
      path: the .mat file.
      depth: "filled" or "raw".
      min_valid: share of the pixels whose depth must be known.
    """

    path: str
    depth: str
    min_valid: float

    def __call__(self, one):
        """Returns the row's one serialized record; raises `SetAside`."""
        import cv2

        from data_prep.sources.nyu import depth_encoding, mat_file
        from selfsup.data import records

        image, metres = mat_file.read_row(
            self.path, _DATASETS[self.depth], int(one.detail)
        )
        depth, unit = depth_encoding.encode_metres(metres, self.min_valid)
        encoded, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        if not encoded:
            raise writer.SetAside("cannot be encoded as PNG")
        height, width = metres.shape
        record = records.serialize(
            key=one.key,
            encoded=png.tobytes(),
            height=height,
            width=width,
            depth=depth,
            depth_unit=unit,
        )
        return [record]
