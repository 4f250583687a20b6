"""The raw distribution of NYU Depth v2, a larger training set, to records."""

import collections
import dataclasses
import json
import os
import sys

from data_prep.build import inputs, writer
from data_prep.sources.nyu import labelled_listing, raw_listing
from selfsup.common.errors import UserError
from selfsup.data import manifest as manifests

JPEG_QUALITY = 95
# Of a frame; one takes a tenth of a second.
_SECONDS = 120
# Over four times what a frame has.
_MAX_BYTES = 4 << 20


def build_raw(
    *,
    raw,
    output,
    labelled=None,
    splits=None,
    all_scenes=False,
    frames_per_scene=48,
    max_time_difference=0.04,
    min_valid=0.01,
    **build_options,
):
    """Builds or resumes a training set from the raw distribution.

    Args:
      raw: folder with the unpacked scene folders, at any depth.
      output: folder for the shards.
      labelled, splits: the labelled set's .mat files, which tell the scenes with test
        frames; those are left out.
      all_scenes: takes all scenes instead.
      frames_per_scene: frames sampled from a scene; 0 takes all.
      max_time_difference: seconds between a depth frame and its photo.
      min_valid: share of a frame's pixels whose depth must be known.
      **build_options: as in `writer.build`.

    Returns:
      the `Manifest`; all records are training records.

    Raises:
      UserError: no scenes there, no way to tell the test scenes, or as
        `writer.build`.
    """
    _check_folder(raw)
    scenes = Scenes(
        directory=raw,
        test_rooms=_test_rooms(labelled, splits, all_scenes, raw),
        frames_per_scene=frames_per_scene,
        tolerance=max_time_difference,
    )
    return writer.build(
        output=output,
        kind=manifests.RGBD,
        features=("image", "depth"),
        inputs=scenes,
        convert=RawConverter(raw, min_valid),
        options={
            "source": "raw",
            "depth": "raw",
            "all_scenes": all_scenes,
            "frames_per_scene": frames_per_scene,
            "max_time_difference": max_time_difference,
            "min_valid": min_valid,
            "image": f"JPEG {JPEG_QUALITY}",
        },
        directory=raw,
        time_limit=_SECONDS,
        **build_options,
    )


def _check_folder(raw):
    if raw.lower().endswith((".zip", ".tar", ".gz", ".bz2")) and os.path.isfile(raw):
        raise UserError(f"--raw={raw}: is an archive; unpack it and give its folder")
    if not os.path.isdir(raw):
        raise UserError(f"--raw={raw}: is no folder")
    if any(raw_listing.scene_folders(raw)):
        return
    _, _, names = next(os.walk(raw), ("", [], []))
    archives = sorted(name for name in names if name.lower().endswith(".zip"))
    hint = f"; unpack the archives there first ({archives[0]}, ...)" if archives else ""
    raise UserError(
        f"--raw={raw}: no scene folder there or below, with r-*.ppm and d-*.pgm{hint}"
    )


def _test_rooms(labelled, splits, all_scenes, raw):
    """Rooms that a test frame shows; empty for `all_scenes`."""
    if all_scenes:
        return frozenset()
    if not (labelled and splits):
        raise UserError(
            "--raw needs --labelled and --splits as well: frames of scenes with a test "
            "frame must not be trained on (or --all_scenes, where nothing is tested)"
        )
    listing = labelled_listing.list_labelled(
        labelled_listing.Request(labelled, splits, "depths", with_scenes=True)
    )
    known = {raw_listing.room(scene) for scene in listing.scenes}
    there = {raw_listing.room(_scene(f)) for f in raw_listing.scene_folders(raw)}
    if not known & there:
        raise UserError(
            f"--raw={raw}: none of its scenes ({min(there)}, ...) is one of "
            f"{labelled} ({min(known)}, ...), so test scenes cannot be told; were the "
            "folders renamed? --all_scenes takes them nevertheless"
        )
    return frozenset(raw_listing.room(listing.scenes[row]) for row in listing.test)


def _scene(folder):
    return os.path.basename(os.path.normpath(folder))


def detail(folder, photo):
    """The text in an `Input` that names its photo, and tells a replaced one."""
    return json.dumps([photo, inputs.file_state(os.path.join(folder, photo))])


@dataclasses.dataclass(frozen=True)
class Scenes:
    """The `writer.Input`s of a raw distribution, a scene at a time.

    Attributes:
      directory: folder with the scene folders.
      test_rooms: rooms (`raw_listing.room`) to leave out: all parts of a recording,
        as they show the same things.
      frames_per_scene: frames sampled from a scene; 0 for all.
      tolerance: seconds between a depth frame and its photo.
    """

    directory: str
    test_rooms: frozenset
    frames_per_scene: int
    tolerance: float

    def __iter__(self):
        count = collections.Counter()
        for folder in raw_listing.scene_folders(self.directory):
            if raw_listing.room(_scene(folder)) in self.test_rooms:
                count["left out"] += 1
                continue
            pairs, single = raw_listing.pairs(folder, self.tolerance)
            count.update(scenes=1, pairs=len(pairs), single=single)
            for pair in raw_listing.sample(pairs, self.frames_per_scene):
                depth = os.path.relpath(
                    os.path.join(folder, pair.depth), self.directory
                )
                yield writer.Input(depth, "train", detail(folder, pair.photo))
        print(
            f"{self.directory}: {count['pairs']} frames in {count['scenes']} scenes; "
            f"{count['left out']} scenes with test frames are left out, and "
            f"{count['single']} depth frames without a photo within "
            f"{self.tolerance:g} s",
            file=sys.stderr,
        )


@dataclasses.dataclass(frozen=True)
class RawConverter:
    """Converts one depth frame and its photo; a `convert` of `writer.build`.

    Attributes:
      directory: folder that keys are relative to; the text of `detail` names the photo,
        which lies beside the depth frame.
      min_valid: share of the pixels whose depth must be known.
    """

    directory: str
    min_valid: float

    def __call__(self, one):
        """Returns the frame's one serialized record; raises `SetAside`."""
        import cv2

        from data_prep.sources.nyu import depth_encoding, kinect
        from selfsup.data import records

        # Workers are processes already, one for each CPU.
        cv2.setNumThreads(1)
        path = os.path.join(self.directory, one.key)
        disparity = _read(path, (kinect.HEIGHT, kinect.WIDTH), "uint16")
        name, _ = json.loads(one.detail)
        photo_path = os.path.join(os.path.dirname(path), name)
        photo = _read(photo_path, (kinect.HEIGHT, kinect.WIDTH, 3), "uint8")
        # The sensor's bytes were written as they lay in memory, lowest first.
        depth = kinect.project_depth(kinect.disparity_to_metres(disparity.byteswap()))
        # At the cap nothing is known but a lower bound.
        depth[depth >= kinect.MAX_DEPTH] = 0
        png, unit = depth_encoding.encode_metres(depth, self.min_valid)
        photo = kinect.undistort_photo(photo)
        encoded, jpeg = cv2.imencode(
            ".jpg", cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), _jpeg_options()
        )
        if not encoded:
            raise writer.SetAside("cannot be encoded as JPEG")
        record = records.serialize(
            key=one.key,
            encoded=jpeg.tobytes(),
            height=kinect.HEIGHT,
            width=kinect.WIDTH,
            depth=png,
            depth_unit=unit,
        )
        return [record]


def _read(path, shape, dtype):
    """The array of a PNM file, which must be of that shape and type."""
    from data_prep.sources.nyu import pnm

    name = os.path.basename(path)
    try:
        with open(path, "rb") as file:
            values = pnm.decode(file.read(_MAX_BYTES))
    except writer.SetAside as error:
        raise writer.SetAside(f"{name}: {error}") from error
    if values.shape != shape or values.dtype != dtype:
        raise writer.SetAside(
            f"{name}: is {values.dtype} {values.shape}, expected {dtype} {shape}"
        )
    return values


def _jpeg_options():
    """Full chroma resolution: color is what colorization learns from."""
    import cv2

    return [
        *(cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ]
