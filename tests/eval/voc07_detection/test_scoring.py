"""Result files against a devkit, and the command."""

import json
import pathlib
import subprocess
import sys

import devkits
import numpy as np
import pytest

from eval.voc07_detection.score import devkit_truth, result_files, scoring
from selfsup.common.errors import UserError

ROOT = pathlib.Path(__file__).resolve().parents[3]
OPTIONS = {"ious": [0.5, 0.75], "metric": "voc07", "year": "", "competition": "comp3"}
DOG, OTHER_DOG, CAT = (3, 5, 12, 20), (30, 5, 39, 20), (1, 1, 64, 48)


@pytest.fixture
def devkit(tmp_path):
    """Two test images: two dogs and a cat, and a dog that is difficult."""
    xml = {
        "a": devkits.annotation(
            devkits.object_xml("dog", *DOG), devkits.object_xml("dog", *OTHER_DOG)
        ),
        "b": devkits.annotation(
            devkits.object_xml("dog", *DOG, difficult=1),
            devkits.object_xml("cat", *CAT),
            devkits.object_xml("hen", *DOG, difficult=1),
        ),
        "c": devkits.annotation(),
        "d": devkits.annotation(devkits.object_xml("cow", *DOG)),
    }
    devkits.write(
        tmp_path / "VOCdevkit/VOC2007",
        {image: (None, data) for image, data in xml.items()},
        {"test": "a\nb\nc\na\n", "train": "d\n", "dog_test": "a  1\nb  0\nc -1\n"},
    )
    return tmp_path / "VOCdevkit"


@pytest.fixture
def results(tmp_path):
    """Dogs: a hit, a difficult object, a half hit, a false alarm; cats: a small box."""
    detections = {
        "dog": (
            ["a", "b", "a", "c"],
            np.float32([0.9, 0.8, 0.7, 0.6]),
            np.float32([DOG, DOG, OTHER_DOG[:3] + (13,), DOG]),
        ),
        "cat": (["b"], np.float32([1]), np.float32([DOG])),
    }
    result_files.write(tmp_path / "results", "test", detections)
    return tmp_path / "results"


def test_truth_is_read_from_the_files(devkit):
    truth = devkit_truth.read(devkit, "test")
    assert truth.year == "VOC2007"
    assert list(truth.images) == ["a", "b", "c"]
    assert list(truth.objects) == ["cat", "dog", "hen"]
    boxes, difficult = truth.objects["dog"]["a"]
    np.testing.assert_array_equal(boxes, np.float32([DOG, OTHER_DOG]))
    assert not difficult.any()
    assert truth.objects["dog"]["b"][1].all()


def test_report(devkit, results):
    report, notes = scoring.score(devkit, "test", results, **OPTIONS)
    # Eleven elevenths added up, as in published tools, are not quite 1.
    dog = {"objects": 3, "difficult": 1, "detections": 4, "AP_0.5": pytest.approx(1)}
    assert report["classes"]["dog"] == {**dog, "AP_0.75": pytest.approx(6 / 11)}
    cat = {"objects": 1, "difficult": 0, "detections": 1, "AP_0.5": 0.0, "AP_0.75": 0.0}
    assert report["classes"] == {"cat": cat, "dog": report["classes"]["dog"]}
    assert report["metrics"] == pytest.approx({"mAP_0.5": 0.5, "mAP_0.75": 3 / 11})
    assert (report["images"], report["not_scored"], notes) == (3, [], [])


def test_lists_of_a_class_are_lists(devkit, results):
    assert list(devkit_truth.read(devkit, "dog_test").images) == ["a", "b", "c"]


def test_files_of_classes_without_objects_are_noted(devkit, results):
    for name in ("hen", "unicorn"):
        (results / f"comp3_det_test_{name}.txt").write_text("a 1 1 1 9 9\n")
    (results / "comp3_det_val_dog.txt").write_text("nonsense\n")
    report, notes = scoring.score(devkit, "test", results, **OPTIONS)
    others = ["comp3_det_test_hen.txt", "comp3_det_test_unicorn.txt"]
    assert report["not_scored"] == others
    assert all("not scored" in note for note in notes)
    assert len(notes) == 2


def test_corrected_annotations_are_noted(devkit, results):
    xmin, ymin, xmax, ymax = CAT
    exchanged = devkits.annotation(devkits.object_xml("cat", xmax, ymin, xmin, ymax))
    (devkit / "VOC2007/Annotations/b.xml").write_bytes(exchanged)
    report, notes = scoring.score(devkit, "test", results, **OPTIONS)
    assert report["classes"]["cat"]["objects"] == 1
    assert len(notes) == 1
    assert "b.xml: object 1 (cat): exchanged" in notes[0]


def test_the_year_is_required_if_there_are_several(devkit):
    (devkit / "VOC2012/Annotations").mkdir(parents=True)
    with pytest.raises(UserError, match=r"^year: is required, .* VOC2007, VOC2012"):
        devkit_truth.read(devkit, "test")
    for folder, year in [
        (devkit, "2007"),
        (devkit / "VOC2007", ""),
        (devkit, "VOC2007"),
    ]:
        assert devkit_truth.read(folder, "test", year).year == "VOC2007"


BROKEN = b"<annotation><object></annotation>"
LACKING = devkits.annotation("<object><name>dog</name></object>")
BOMB = b"""<!DOCTYPE annotation [<!ENTITY a "ha">]><annotation>&a;</annotation>"""


@pytest.mark.parametrize(
    ("file", "content", "options", "message"),
    [
        ("", b"", {"year": "2012"}, "^year=VOC2012: is not in .* has VOC2007"),
        ("", b"", {"set_name": "val"}, "val.txt: no such list; .* one of test, train"),
        ("ImageSets/Main/test.txt", b"\n", {}, "test.txt: lists no image"),
        ("ImageSets/Main/test.txt", b"a\0\n", {}, "test.txt: cannot be read"),
        ("ImageSets/Main/test.txt", b"\xff\xfd\n", {}, ".xml: no such annotation"),
        ("ImageSets/Main/test.txt", b"a\ne\n", {}, "e.xml: no such annotation"),
        ("ImageSets/Main/test.txt", b"c\n", {}, "set test has an object"),
        ("Annotations/b.xml", BROKEN, {}, "b.xml: cannot be read: .*mismatched tag"),
        ("Annotations/b.xml", BOMB, {}, "b.xml: .*document type"),
        ("Annotations/b.xml", LACKING, {}, "b.xml: object 1 .dog.*has no bndbox"),
    ],
)
def test_bad_devkits(devkit, file, content, options, message):
    if file:
        (devkit / "VOC2007" / file).write_bytes(content)
    with pytest.raises(UserError, match=message):
        devkit_truth.read(devkit, **{"set_name": "test", **options})


def test_no_results(devkit, tmp_path):
    with pytest.raises(UserError, match=r"^results=.*nowhere: no such"):
        scoring.score(devkit, "test", tmp_path / "nowhere", **OPTIONS)


def test_no_devkit(tmp_path):
    for folder, message in [(tmp_path, "expected VOCdevkit"), ("nowhere", "no such")]:
        with pytest.raises(UserError, match=f"^devkit=.*{message}"):
            devkit_truth.read(folder, "test")


def _run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "eval.voc07_detection.score", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


def test_the_command(devkit, results, tmp_path):
    output = tmp_path / "metrics.json"
    given = [f"--devkit={devkit}", f"--results={results}", f"--output={output}"]
    done = _run(*given, "--set=test", "--iou=0.5,0.75", "--metric=area")
    assert done.returncode == 0, done.stderr
    head, cat, dog, total = [line.split() for line in done.stdout.splitlines()]
    assert head[-2:] == ["AP_0.5", "AP_0.75"]
    assert (cat[0], dog[0], total[0]) == ("cat", "dog", "all")
    assert dog[1:] == ["3", "1", "4", "100.00", "50.00"]
    assert total[-2:] == ["50.00", "25.00"]
    report = json.loads(output.read_text())
    assert report["metric"] == "area"
    assert report["metrics"] == {"mAP_0.5": 0.5, "mAP_0.75": 0.25}


def test_the_command_names_what_is_wrong(devkit, results):
    (results / "comp3_det_test_cat.txt").unlink()
    done = _run(f"--devkit={devkit}", f"--results={results}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "has no comp3_det_test_cat.txt" in done.stderr
    done = _run(f"--devkit={devkit}", f"--results={results}", "--iou=0.5,75")
    assert done.stderr.startswith("error: --iou=75: expected numbers greater than 0")
