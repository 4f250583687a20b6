import functools
import io
import os

import cv2
import faulty_inputs
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data_prep.build import worker_pool
from data_prep.build.dataset_build import Input, SetAside
from data_prep.sources.nyu import (
    depth_decoding,
    folder_builder,
    folder_conversion,
    folder_listing,
    pairing,
)
from selfsup.common.errors import UserError
from selfsup.data import records

HEIGHT, WIDTH = 40, 50
STEPS = np.random.default_rng(0).integers(500, 9000, (HEIGHT, WIDTH), dtype=np.uint16)
STEPS[:5], STEPS[5:8] = 0, 65535


def _write_photo(path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)
    Image.fromarray(ramp).convert("RGB").save(path, **options)


def _write_depth(path, steps=STEPS):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), steps)


def _convert(tmp_path, depth="0.png", **changes):
    options = {
        "rgb": str(tmp_path / "rgb"),
        "depth_images": str(tmp_path / "depth"),
        "depth_unit": 0.001,
        "invalid": (0, 65535),
        "resize_depth": False,
        "min_valid": 0.01,
    }
    convert = folder_conversion.FolderConverter(**{**options, **changes})
    detail = folder_conversion.detail(str(tmp_path / "depth"), depth)
    made = convert(Input("0.jpg", "", detail))
    return records.parse(made.records[0], (records.IMAGE, records.DEPTH))


def _expected(unit=0.001, invalid=(0, 65535)):
    return np.where(np.isin(STEPS, invalid), 0, STEPS) * np.float32(unit)


@pytest.mark.parametrize("extension", ["png", "pgm", "tif", "tiff"])
def test_depth_is_kept_to_the_step(tmp_path, extension):
    _write_photo(tmp_path / "rgb/0.jpg")
    _write_depth(tmp_path / f"depth/0.{extension}")
    record = _convert(tmp_path, f"0.{extension}", depth_unit=0.0002)
    np.testing.assert_array_equal(record["depth"][..., 0], _expected(0.0002))
    assert record["image"].shape == (HEIGHT, WIDTH, 3)


def test_a_pgm_with_another_maximum_is_not_scaled():
    data = b"P5\n2 1\n10000\n" + np.array([7, 10000], ">u2").tobytes()
    assert depth_decoding.decode(data).tolist() == [[7, 10000]]


def test_other_invalid_values(tmp_path):
    _write_photo(tmp_path / "rgb/0.jpg")
    _write_depth(tmp_path / "depth/0.png")
    record = _convert(tmp_path, invalid=(int(STEPS[9, 9]),))
    expected = _expected(invalid=(STEPS[9, 9],))
    np.testing.assert_array_equal(record["depth"][..., 0], expected)


def test_depth_of_another_size(tmp_path):
    _write_photo(tmp_path / "rgb/0.jpg")
    _write_depth(tmp_path / "depth/0.png", STEPS[::2, ::2])
    with pytest.raises(SetAside, match="25x20 pixels, the photo 50x40"):
        _convert(tmp_path)
    depth = _convert(tmp_path, resize_depth=True)["depth"][..., 0]
    expected = _expected()[::2, ::2].repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(depth, expected)


@pytest.mark.parametrize(
    "write, reason",
    [
        (lambda path: _write_depth(path, STEPS.astype(np.uint8)), "has 8 bits"),
        (lambda path: _write_depth(path, np.zeros_like(STEPS)), "known in 0.00%"),
        (lambda path: _write_depth(path, np.full_like(STEPS, 9)), "one value"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"no image"), "no image of a known format"),
        (
            lambda path: path.write_bytes(cv2.imencode(".png", STEPS)[1][:-300]),
            "is broken",
        ),
        (lambda path: _save(path, STEPS.astype(np.float32)), "floating-point"),
        (lambda path: _save(path, 9 * STEPS.astype(np.int32)), "beyond 16 bits"),
    ],
)
def test_images_without_depth_are_set_aside(tmp_path, write, reason):
    _write_photo(tmp_path / "rgb/0.jpg")
    (tmp_path / "depth").mkdir()
    write(tmp_path / "depth/0.png")
    with pytest.raises(SetAside, match=reason):
        _convert(tmp_path)


def _save(path, values):
    file = io.BytesIO()
    Image.fromarray(values).save(file, "TIFF")
    path.write_bytes(file.getvalue())


def _turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_a_photo_turned_differently_than_its_depth_is_set_aside(tmp_path):
    _write_photo(tmp_path / "rgb/0.jpg", exif=_turned(3))
    _write_depth(tmp_path / "depth/0.png")
    with pytest.raises(SetAside, match=r"rotated by EXIF .orientation 3., its depth"):
        _convert(tmp_path)
    Image.fromarray(STEPS).save(tmp_path / "depth/0.png", exif=_turned(1))
    _write_photo(tmp_path / "rgb/0.jpg")
    assert _convert(tmp_path)["depth"].shape == (HEIGHT, WIDTH, 1)
    Image.fromarray(STEPS).save(tmp_path / "depth/0.png", exif=_turned(2))
    with pytest.raises(SetAside, match=r"its depth image otherwise .orientation 2"):
        _convert(tmp_path)


@pytest.mark.parametrize("extension", ["png", "tiff"])
def test_a_photo_and_its_depth_are_turned_together(tmp_path, extension):
    _write_photo(tmp_path / "rgb/0.jpg", exif=_turned(6), quality=95)
    (tmp_path / "depth").mkdir()
    path = tmp_path / f"depth/0.{extension}"
    Image.fromarray(STEPS).save(path, exif=_turned(6))
    record = _convert(tmp_path, path.name)
    np.testing.assert_array_equal(record["depth"][..., 0], np.rot90(_expected(), -1))
    # The stored photo is brighter at the bottom; the upright photo, at the left.
    columns = record["image"].numpy().astype(int).mean((0, 2))
    assert columns.shape == (HEIGHT,)
    assert columns[0] > columns[-1] + 100


@pytest.mark.parametrize(
    "photos, depths",
    [
        (["a/1.jpg", "a/2.jpg", "b/1.jpg"], ["a/1.png", "a/2.png", "b/1.png"]),
        (["1_rgb.jpg", "2_rgb.jpg"], ["1_depth.png", "2_depth.png"]),
        (["s/rgb_00045.jpg"], ["s/sync_depth_00045.png"]),
        (["s/color/1.jpg", "t/color/1.jpg"], ["s/depth/1.png", "t/depth/1.png"]),
        (
            ["scene.7-Color.jpg", "scene.8-Color.jpg"],
            ["scene.7-D.png", "scene.8-D.png"],
        ),
        (["rgb.jpg"], ["depth.png"]),
        (["küche-1_rgb.jpg", "küche-2_rgb.jpg"], ["küche-1.png", "küche-2.png"]),
    ],
)
def test_names_that_belong_together(photos, depths):
    pairs = pairing.pair(reversed(photos), depths)
    assert pairs == (tuple(zip(photos, depths)), (), ())


def test_names_that_fit_several_files_are_not_paired():
    pairs = pairing.pair(["1.jpg", "rgb_1.jpg", "2.jpg"], ["depth_1.png", "3.png"])
    assert pairs == (
        (),
        ("1.jpg", "2.jpg", "rgb_1.jpg"),
        ("3.png", "depth_1.png"),
    )


@pytest.fixture
def both(tmp_path):
    """A build of five pairs, and of a photo and a depth image without a partner."""
    for index in range(5):
        _write_photo(tmp_path / f"rgb/{index}.jpg")
        _write_depth(tmp_path / f"depth/{index}.png")
    _write_photo(tmp_path / "rgb/another.jpg")
    _write_depth(tmp_path / "depth/single.png")
    return functools.partial(
        folder_builder.build_folders,
        rgb=str(tmp_path / "rgb"),
        depth_images=str(tmp_path / "depth"),
        output=str(tmp_path / "set"),
        workers=1,
        num_shards=1,
    )


def test_a_build_counts_what_has_no_partner(both, tmp_path, capfd):
    split_list = tmp_path / "splits.txt"
    split_list.write_text("train 0\n\ntest 1\nvalidation 3\ntest  4\n")
    manifest = both(split_list=str(split_list))
    output = capfd.readouterr().err
    assert "1 photos without a depth image: another.jpg" in output
    assert "1 depth images without a photo: single.png" in output
    assert "leaves 1 of 5 photos out" in output
    counts = [manifest.records(split) for split in ("train", "validation", "test")]
    assert counts == [1, 1, 2]
    assert manifest.inputs["set_aside"] == 2
    assert (tmp_path / "set/set_aside.tsv").read_text() == (
        "another.jpg\tphoto without a depth image of its name\n"
        "depth image: single.png\tdepth image without a photo of its name\n"
    )
    assert manifest.options["source"] == "folders"
    paths = [os.path.join(manifest.directory, s.file) for s in manifest.split("test")]
    for serialized in tf.data.TFRecordDataset(paths):
        record = records.parse(serialized, (records.DEPTH,))
        assert record["key"].numpy() in (b"1.jpg", b"4.jpg")
        np.testing.assert_array_equal(record["depth"][..., 0], _expected())


def _stop(convert, after):
    """Returns a converter that interrupts the build after `after` inputs."""
    seen = []

    def stopped(self, item):
        if len(seen) == after:
            raise KeyboardInterrupt
        seen.append(item)
        return convert(self, item)

    return stopped


def test_a_build_does_not_resume_over_a_replaced_depth_image(
    both, tmp_path, monkeypatch
):
    """The first shard is kept, so two versions would mix. A stray file does no harm."""
    monkeypatch.setattr(worker_pool, "run", faulty_inputs.run_in_process)
    call = folder_conversion.FolderConverter.__call__
    with monkeypatch.context() as patch:
        patch.setattr(
            folder_conversion.FolderConverter, "__call__", _stop(call, after=4)
        )
        with pytest.raises(UserError, match="interrupted"):
            both(num_shards=3)
    whole = (tmp_path / "depth/2.png").read_bytes()
    status = os.stat(tmp_path / "depth/2.png")
    deep = tmp_path / "depth/2.png"
    _write_depth(deep, STEPS[::-1].copy())
    with pytest.raises(UserError, match="input files are others or have changed since"):
        both(num_shards=3)
    deep.write_bytes(whole)
    os.utime(deep, ns=(status.st_atime_ns, status.st_mtime_ns))
    (tmp_path / "depth/notes.txt").write_text("stray")
    assert both(num_shards=3).inputs["used"] == 5


def test_files_that_are_too_large_are_not_read(tmp_path):
    _write_photo(tmp_path / "rgb/0.jpg")
    (tmp_path / "depth").mkdir()
    with open(tmp_path / "depth/0.png", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(SetAside, match=r"0\.png has over 816777216 bytes"):
        _convert(tmp_path)


@pytest.mark.parametrize(
    "text, message",
    [
        ("train 0\nhold 1\n", "'hold 1' is not train, validation or test"),
        ("train\n", "'train' is not train"),
        ("train 9\n", "'9' is not a photo with depth"),
        ("train 0\ntest 0\n", "'0' is in two splits"),
    ],
)
def test_faulty_split_lists_are_refused(both, tmp_path, text, message):
    split_list = tmp_path / "splits.txt"
    split_list.write_text(text)
    with pytest.raises(UserError, match=message):
        both(split_list=str(split_list))


def test_folders_without_pairs_are_refused(both, tmp_path):
    with pytest.raises(UserError, match="nowhere: is not a folder"):
        both(depth_images="nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="have the same name"):
        both(depth_images=str(tmp_path / "empty"))


def test_photos_and_depth_may_share_a_folder(tmp_path):
    for index in range(3):
        _write_photo(tmp_path / f"all/{index}_rgb.png")
        _write_depth(tmp_path / f"all/{index}_depth.png")
    pairs = folder_listing.find_pairs(str(tmp_path / "all"), str(tmp_path / "all"), "")
    assert pairs.pairs == tuple((f"{i}_rgb.png", f"{i}_depth.png") for i in range(3))
    assert not pairs.photos and not pairs.depths
