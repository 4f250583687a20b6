"""Builders accept files and folders whose names are not UTF-8."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from data_prep.build import worker_pool
from data_prep.inspection import contact_sheet, report
from data_prep.sources import imagenet_builder, photo_builder, voc_builder
from data_prep.sources.nyu import folder_builder
from eval.voc07_detection.score import devkit_truth, result_files
from selfsup.common import files
from selfsup.data import manifest, pipeline, records

CAFE = os.fsdecode(b"caf\xe9")
# The same name in records and reports.
ESCAPED = r"caf\udce9"
SIZE = (64, 48)


@pytest.fixture
def root(tmp_path):
    """A folder of such a name, which contains two class folders of photos."""
    root = tmp_path / CAFE
    for label in (f"{CAFE} cat", f"{CAFE} dog"):
        (root / "in" / label).mkdir(parents=True)
        for index in range(2):
            _write(root / "in" / label / f"{CAFE} {index}.jpg", index)
        (root / "in" / label / f"{CAFE}.jpg").write_text("no photo")
    return root


def _write(path, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE[::-1], 3), np.uint8)
    with open(path, "wb") as file:
        Image.fromarray(pixels).save(file, "JPEG")


def _keys(made):
    """Returns the keys of a set's records, read as training reads them."""
    source = pipeline.DatasetSplit([made], "train")
    parsed = (records.parse(record, ())["key"] for record in pipeline.one_pass(source))
    return {key.numpy().decode() for key in parsed}


def test_photos_are_built_and_inspected(root):
    """The build uses worker processes; a crash of theirs would set the photo aside."""
    output = str(root / "out")
    made = photo_builder.build_photos(
        directory=str(root / "in"),
        output=output,
        labels="folders",
        validation_fraction=0,
        num_shards=1,
        workers=1,
    )
    made = manifest.read(os.path.join(output, manifest.FILE_NAME))
    assert made.labels == (f"{CAFE} cat", f"{CAFE} dog")
    assert made.inputs["set_aside"] == 2
    assert len(_keys(made)) == 4
    assert rf"{ESCAPED} cat/{ESCAPED} 0.jpg" in _keys(made)
    with open(os.path.join(output, "set_aside.tsv"), encoding="utf-8") as file:
        assert file.readline().startswith(r"caf\udce9 cat/caf\udce9.jpg" + "\t")
    assert not report.verify(made, workers=1)
    sheet = contact_sheet.draw(made, 4)
    assert sheet.shape[-1] == 3


def test_class_folders_in_a_tar(root):
    tar = str(root / f"{CAFE}.tar")
    subprocess.run(["tar", "cf", tar, "-C", str(root / "in"), "."], check=True)
    made = imagenet_builder.build_imagenet(
        train=tar,
        output=str(root / "out"),
        validation_fraction=0,
        num_shards=1,
        workers=1,
    )
    assert made.labels == (f"{CAFE} cat", f"{CAFE} dog")
    assert made.records("train") == 4


def test_a_devkit(root, monkeypatch):
    import devkits
    import faulty_inputs

    monkeypatch.setattr(worker_pool, "run", faulty_inputs.run_in_process)
    picture = (devkits.jpeg(), devkits.annotation(devkits.DOG))
    devkits.write(root / "VOC2007", {"a": picture}, {"train": "a"})
    year = root / "VOC2007"
    for part, extension in (("JPEGImages", "jpg"), ("Annotations", "xml")):
        (year / part / f"a.{extension}").rename(year / part / f"{CAFE}.{extension}")
    (year / "ImageSets/Main/train.txt").write_bytes(b"caf\xe9\n")
    made = voc_builder.build_voc(
        inputs=[str(year)], output=str(root / "out"), classes="found"
    )
    assert _keys(made) == {f"VOC2007/{ESCAPED}"}
    truth = devkit_truth.read(str(year), "train")
    assert list(truth.images) == [ESCAPED]
    results = root / "results"
    results.mkdir()
    # Result files of another program, and of this package.
    for name in (b"caf\xe9", ESCAPED.encode()):
        (results / "comp3_det_train_dog.txt").write_bytes(name + b" 0.5 1 2 3 4\n")
        results_by_class = result_files.read(
            str(results), "train", ["dog"], truth.images
        )
        assert results_by_class["dog"][0] == [ESCAPED]


def test_photos_with_depth(root, monkeypatch):
    import faulty_inputs

    monkeypatch.setattr(worker_pool, "run", faulty_inputs.run_in_process)
    steps = np.arange(SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE[::-1])
    (root / "depth").mkdir()
    for index in range(2):
        Image.fromarray(steps).save(root / "depth" / f"{CAFE} {index}.png")
    made = folder_builder.build_folders(
        rgb=str(root / "in" / f"{CAFE} cat"),
        depth_images=str(root / "depth"),
        output=str(root / "out"),
        validation_fraction=0,
    )
    assert _keys(made) == {f"{ESCAPED} 0.jpg", f"{ESCAPED} 1.jpg"}


def test_names_are_printable():
    assert files.printable(f"a\t{CAFE}\u00e9") == "a\\tcaf\\udce9\u00e9"


def test_a_folder_that_tensorflow_cannot_name_is_reported(tmp_path):
    """Printing the name does not end the command either."""
    script = tmp_path / "main.py"
    script.write_text(
        "import sys\n"
        "from selfsup.command_line import command\n"
        "def main(argv):\n"
        "    print(argv[1], flush=True)\n"
        "    from launch import feature_extraction\n"
        "    feature_extraction.load_trunk(argv[1])\n"
        "command.run(main, 'main', positional='DIR')\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / CAFE)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 1
    assert done.stdout.rstrip().endswith(r"/caf\udce9")
    assert "name is not UTF-8" in done.stderr
    assert "Traceback" not in done.stderr
