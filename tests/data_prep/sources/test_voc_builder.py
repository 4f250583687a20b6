import devkits
import pytest

from data_prep.sources import voc_builder
from selfsup.common.errors import UserError
from selfsup.data import records


@pytest.mark.parametrize(
    ("lists", "asked", "reason"),
    [
        ({"train": "a"}, "test", "the test set is a separate tar"),
        ({"trainval": "a"}, "val", "all of trainval.txt is for training"),
        ({"test": "a"}, "trainval", "neither train.txt nor trainval.txt"),
        ({}, "", "has no lists in ImageSets/Main"),
    ],
)
def test_missing_lists_are_explained(tmp_path, lists, asked, reason):
    devkits.write_small(tmp_path, lists)
    with pytest.raises(UserError, match=reason):
        voc_builder.build_voc(
            inputs=[str(tmp_path)], output=str(tmp_path / "out"), splits=asked.split()
        )
    assert not (tmp_path / "out").exists()


def _plan(monkeypatch, **arguments):
    """Returns the arguments that `build_voc` passes to `dataset_build.build`."""
    monkeypatch.setattr(voc_builder.dataset_build, "build", lambda **made: made)
    made = voc_builder.build_voc(output="unused", **arguments)
    return {**made, "inputs": list(made["inputs"])}


def test_a_missing_test_list_is_no_error_if_not_requested(
    tmp_path, monkeypatch, capsys
):
    devkits.write_small(tmp_path, {"train": "a", "val": "b"})
    made = _plan(monkeypatch, inputs=[str(tmp_path)], splits=["trainval"])
    assert [item.split for item in made["inputs"]] == ["train", "validation"]
    assert "test" not in capsys.readouterr().err
    made = _plan(monkeypatch, inputs=[str(tmp_path)])
    assert made["options"]["splits"] == ("train", "validation")
    assert "the test set is a separate tar" in capsys.readouterr().err


def test_a_test_set_without_annotations(tmp_path, monkeypatch, capsys):
    devkits.write_small(tmp_path, {"train": "a", "test": "b"})
    (tmp_path / "VOCdevkit/VOC2007/Annotations/b.xml").unlink()
    made = _plan(monkeypatch, inputs=[str(tmp_path)])
    assert [item.key for item in made["inputs"]] == ["VOC2007/a"]
    assert (
        "no test split, because its annotations are missing" in capsys.readouterr().err
    )
    made = _plan(monkeypatch, inputs=[str(tmp_path)], splits=["train", "test"])
    assert made["options"]["splits_without_annotations"] == ("test",)
    converted = made["convert"](made["inputs"][1])
    assert converted.note == ""
    parsed = records.parse(converted.records[0], (records.BOXES,))
    assert parsed["boxes"].shape == (0, 4)


def test_classes_found_named_and_from_a_file(tmp_path, monkeypatch):
    devkits.write_small(tmp_path, {"train": "a", "test": "b"})
    xml = tmp_path / "VOCdevkit/VOC2007/Annotations/b.xml"
    xml.write_bytes(
        devkits.annotation(devkits.object_xml("ape", 1, 2, 3, 4), devkits.DOG)
    )
    (tmp_path / "names.txt").write_bytes("\ufeffdog\r\nape\r\n\r\n".encode())

    def labels(option, **more):
        made = _plan(monkeypatch, inputs=[str(tmp_path)], classes=option, **more)
        return made["labels"]

    assert labels("found") == ("ape", "dog")
    assert labels("found", splits=["train"]) == ("ape", "dog")
    assert labels("dog, ape") == ("dog", "ape")
    assert labels(f"@{tmp_path / 'names.txt'}") == ("dog", "ape")
    with pytest.raises(UserError, match=r"1 classes that are not VOC's: ape \(1\)"):
        labels("")
    for option, reason in [
        ("dog,dog", "dog is listed twice"),
        (",", "names no class"),
        ("@missing", "cannot be read"),
    ]:
        with pytest.raises(UserError, match=reason):
            labels(option)
