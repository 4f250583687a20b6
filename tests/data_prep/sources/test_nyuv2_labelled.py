import os
import subprocess
import sys

import h5py
import numpy as np
import nyu_files
import pytest
import scipy.io
import tensorflow as tf

from data_prep.build.dataset_build import Input, SetAside
from data_prep.sources.nyu import (
    labelled_conversion,
    labelled_listing,
    mat_file,
)
from selfsup.common.errors import UserError
from selfsup.data import manifest as manifests
from selfsup.data import records

TRAIN, TEST = [2, 3, 5, 6], [1, 4]
SCENES = ["office_0001a"] * 3 + ["den_0002"] * 3
ARRAYS = nyu_files.labelled_arrays()


@pytest.fixture
def files(tmp_path):
    """Paths of (labelled set, splits) with six frames."""
    return (
        nyu_files.write_labelled(tmp_path / "l.mat", *ARRAYS, SCENES),
        nyu_files.write_splits(tmp_path / "s.mat", TRAIN, TEST),
    )


def _parsed(manifest, split):
    """Returns {key: (image, depth)} of a split's records."""
    paths = [os.path.join(manifest.directory, s.file) for s in manifest.split(split)]
    records_by_key = {}
    for serialized in tf.data.TFRecordDataset(paths):
        record = records.parse(serialized, (records.IMAGE, records.DEPTH))
        records_by_key[record["key"].numpy().decode()] = (
            record["image"].numpy(),
            record["depth"].numpy(),
        )
    return records_by_key


def _check(path):
    mat_file.describe(path, mat_file.FILLED_DEPTH)
    return mat_file.read_scenes(path, 6)


def _main(*arguments):
    command = [sys.executable, "-m", "data_prep.nyuv2", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def _break_row(path, row):
    """Overwrites the compressed depth of a row."""
    with h5py.File(path, "r") as file:
        chunk = file["depths"].id.get_chunk_info(row)
    with open(path, "r+b") as file:
        file.seek(512 + chunk.byte_offset + 20)
        file.write(b"\xff" * 50)


def test_the_command_builds_the_official_splits(files, tmp_path):
    _break_row(files[0], 4)
    output = tmp_path / "set"
    done = _main(
        f"--labelled={files[0]}",
        f"--splits={files[1]}",
        f"--output={output}",
        "--workers=1",
        "--num_shards=1",
    )
    assert done.returncode == 0, done.stderr
    assert "6 frames of 64x48 pixels; 4 training, 2 test" in done.stderr
    assert (output / "set_aside.tsv").read_text().startswith("labelled/00005\t")
    manifest = manifests.read(str(output / manifests.FILE_NAME))
    assert (manifest.kind, manifest.features) == (manifests.RGBD, ("image", "depth"))
    assert manifest.options["source"] == "labelled"
    assert manifest.options["depth"] == "filled"
    for split, numbers in (("train", {2, 3, 6}), ("test", {1, 4})):
        records_by_key = _parsed(manifest, split)
        assert set(records_by_key) == {f"labelled/{number:05d}" for number in numbers}
        for key, (image, metres) in records_by_key.items():
            row = int(key[-5:]) - 1
            np.testing.assert_array_equal(image, ARRAYS[0][row])
            np.testing.assert_allclose(metres[..., 0], ARRAYS[1][row], atol=1.1e-4)


def test_raw_depth_keeps_its_holes(files):
    convert = labelled_conversion.LabelledConverter(files[0], "raw", 0.01)
    [record] = convert(Input("a", "train", "3"))
    metres = records.parse(record, (records.DEPTH,))["depth"][..., 0]
    expected = ARRAYS[2][3]
    np.testing.assert_allclose(metres, expected, atol=1.1e-4)
    np.testing.assert_array_equal(metres == 0, expected == 0)


@pytest.mark.parametrize(
    "value, reason",
    [
        (np.nan, "not finite"),
        (np.inf, "not finite"),
        (-1.0, "negative"),
        (0.0, "known in 0.00%"),
        (2.0, "one value"),
        (70.0, "not in metres"),
    ],
)
def test_a_frame_without_usable_depth_is_set_aside(tmp_path, value, reason):
    images, depths, raw = nyu_files.labelled_arrays(1)
    depths[:] = value
    path = nyu_files.write_labelled(tmp_path / "l.mat", images, depths, raw)
    with pytest.raises(SetAside, match=reason):
        labelled_conversion.LabelledConverter(path, "filled", 0.01)(
            Input("a", "train", "0")
        )


def test_depth_beyond_13_metres_has_a_coarser_unit(tmp_path):
    images, depths, raw = nyu_files.labelled_arrays(1)
    path = nyu_files.write_labelled(tmp_path / "l.mat", images, 4 * depths, raw)
    convert = labelled_conversion.LabelledConverter(path, "filled", 0.01)
    [record] = convert(Input("a", "train", "0"))
    parsed = records.parse(record, (records.DEPTH,))["depth"][..., 0]
    np.testing.assert_allclose(parsed, 4 * depths[0], atol=5.1e-4)


def test_scenes_are_read(files):
    assert _check(files[0]) == tuple(SCENES)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda file: file.pop("images"), "has no 'images'; it has #refs#, depths"),
        (lambda file: file.pop("depths"), "has no 'depths'"),
        (
            lambda file: _replace(file, "images", np.zeros((6, 48, 64, 3), np.uint8)),
            r"uint8 \[6, 48, 64, 3\], expected uint8 \[frames, 3, width, height\]",
        ),
        (
            lambda file: _replace(file, "images", np.zeros((6, 3, 64, 48), np.uint16)),
            "uint16",
        ),
        (
            lambda file: _replace(file, "depths", np.zeros((5, 64, 48), np.float32)),
            r"expected floating-point \[6, 64, 48\]",
        ),
        (
            lambda file: _replace(file, "depths", np.zeros((6, 64, 48), np.uint16)),
            "expected floating-point",
        ),
        (lambda file: _replace(file, "scenes", np.zeros(6)), "expected 6 references"),
        (lambda file: _link(file, h5py.ExternalLink("o.mat", "depths")), "is a link"),
        (lambda file: _link(file, h5py.SoftLink("/rawDepths")), "is a link"),
        (lambda file: _external(file), "refers to other files"),
        (lambda file: _virtual(file), "refers to other files"),
    ],
)
def test_other_contents_are_refused(files, change, message):
    with h5py.File(files[0], "r+") as file:
        change(file)
    with pytest.raises(UserError, match=message) as error:
        _check(files[0])
    assert files[0] in str(error.value)


def _replace(file, name, values):
    del file[name]
    file[name] = values


def _link(file, link):
    del file["depths"]
    file["depths"] = link


def _external(file):
    del file["depths"]
    size = 6 * 64 * 48 * 4
    file.create_dataset(
        "depths", (6, 64, 48), "f4", external=[("/etc/hostname", 0, size)]
    )


def _virtual(file):
    del file["depths"]
    layout = h5py.VirtualLayout((6, 64, 48), "f4")
    layout[:] = h5py.VirtualSource("other.mat", "depths", (6, 64, 48))
    file.create_virtual_dataset("depths", layout)


def test_an_older_mat_file_is_refused(tmp_path):
    path = nyu_files.write_splits(tmp_path / "l.mat", [1], [2])
    with pytest.raises(UserError, match=r"is not a MATLAB 7.3 .* save\(..., '-v7.3'\)"):
        _check(path)


@pytest.mark.parametrize(
    "train, test, message",
    [
        ([2, 3, 5, 6, 7], [1, 4], r"1 indices are not in 1 to 6.*\(7, ...\)"),
        ([0, 2, 3, 5, 6], [1, 4], "1 indices are not in 1 to 6"),
        ([2, 3, 5, 6, 4], [1, 4], "1 frames are listed more than once.*frame 4"),
        ([2, 3, 5, 6, 6], [1, 4], "1 frames are listed more than once.*frame 6"),
        ([2, 3, 5], [1, 4], "3 training and 2 test frames leave 1 of 6 out"),
    ],
)
def test_splits_that_do_not_fit_are_refused(files, train, test, message):
    nyu_files.write_splits(files[1], train, test)
    with pytest.raises(UserError, match=message):
        mat_file.check_splits(files[1], *mat_file.read_splits(files[1]), 6)


def test_a_declaration_of_countless_frames_takes_no_memory(files):
    with h5py.File(files[0], "r+") as file:
        for name, shape in (("images", (3, 64, 48)), ("depths", (64, 48))):
            kind = file[name].dtype
            del file[name]
            file.create_dataset(name, (10**12, *shape), kind, chunks=(1, *shape))
    request = labelled_listing.Request(*files, mat_file.FILLED_DEPTH, with_scenes=True)
    with pytest.raises(UserError, match="leave 999999999994 of 1000000000000 out"):
        labelled_listing.list_labelled(request)


def test_splits_of_matlab_7_3_are_read(files):
    with h5py.File(files[1], "w") as file:
        file["trainNdxs"] = np.array([TRAIN], np.float64)
        file["testNdxs"] = np.array([TEST], np.float64)
    train, test = mat_file.read_splits(files[1])
    assert (train + 1).tolist() == TRAIN
    assert (test + 1).tolist() == TEST


@pytest.mark.parametrize(
    "count, kind, message",
    [
        (10**12, "f8", r"float64 \[1000000000000\], not a list of"),
        (20_000, "V100000", r"\|V100000 \[20000\], not a list of"),
        (200_000, "f8", r"float64 \[200000\], not a list of"),
    ],
)
def test_splits_of_countless_indices_are_refused(files, count, kind, message):
    with h5py.File(files[1], "w") as file:
        file.create_dataset("trainNdxs", (count,), kind, chunks=(9,))
        file["testNdxs"] = np.array([TEST], np.float64)
    with pytest.raises(UserError, match=message):
        mat_file.read_splits(files[1])


@pytest.mark.parametrize(
    "contents, message",
    [
        ({"trainNdxs": [1]}, "has no 'testNdxs'"),
        ({"trainNdxs": [1.5], "testNdxs": [2]}, "'trainNdxs' is not a list of whole"),
        (
            {"trainNdxs": [np.nan], "testNdxs": [2]},
            "'trainNdxs' is not a list of whole",
        ),
        ({"trainNdxs": "1", "testNdxs": [2]}, "'trainNdxs' is not a list of whole"),
    ],
)
def test_odd_splits_are_refused(tmp_path, contents, message):
    path = str(tmp_path / "s.mat")
    scipy.io.savemat(path, contents)
    with pytest.raises(UserError, match=message):
        mat_file.read_splits(path)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "give --labelled, --raw or --rgb"),
        (["--labelled=l.mat"], "--labelled: needs --splits"),
        (["--labelled=no.mat", "--splits=s.mat"], "no.mat: is not a file"),
        (["--rgb=r"], "--rgb: needs --depth_images"),
        (["--depth_images=d"], "--depth_images: only with --rgb"),
        (["--labelled=l", "--validation_fraction=0.1"], "--validation_fraction: only"),
        (["--raw=r", "--depth=raw"], "--depth: only with --labelled, not with --raw"),
        (["--rgb=r", "--all_scenes"], "--all_scenes: only with --raw, not with --rgb"),
        (["--raw=r", "--rgb=r"], "--raw and --rgb"),
        (["--input=i"], "--input: give --labelled"),
        (["--rgb=r", "--depth_images=d", "--depth_unit=0"], "--depth_unit=0"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(tmp_path, arguments, message):
    done = _main(f"--output={tmp_path}/set", *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and message in done.stderr
