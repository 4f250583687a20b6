import pytest

from selfsup.common.errors import UserError
from selfsup.formats import voc_splits


def _assigned(**lists):
    assigned = voc_splits.assign({name: text.split() for name, text in lists.items()})
    return {
        image: "out" if assignment.problem else assignment.split
        for image, assignment in assigned.items()
    }


def test_without_train_and_val_trainval_is_for_training():
    assert _assigned(trainval="a b", test="c") == {
        "a": "train",
        "b": "train",
        "c": "test",
    }


def test_a_missing_train_or_val_is_the_rest_of_trainval():
    both = {"a": "train", "b": "validation"}
    assert _assigned(train="a", trainval="a b") == both
    assert _assigned(val="b", trainval="a b") == both
    assert _assigned(train="a", val="b", trainval="a b") == both


def test_images_in_two_splits_are_unusable():
    assert _assigned(train="a b", val="b", test="a c") == {
        "a": "out",
        "b": "out",
        "c": "test",
    }
    assert _assigned(trainval="a", test="a") == {"a": "out"}
    assert _assigned(train="a", val="b", trainval="a b c")["c"] == "out"
    reason = voc_splits.assign({"train": ["a"], "test": ["a"]})["a"].problem
    assert reason == "is listed twice: for train and test"


@pytest.mark.parametrize(
    ("words", "splits"),
    [
        ("", ("train", "validation", "test")),
        ("trainval", ("train", "validation")),
        ("test val", ("validation", "test")),
        ("validation", ("validation",)),
    ],
)
def test_names_of_splits(words, splits):
    assert voc_splits.parse_splits(words.split()) == splits


def test_unknown_splits_are_refused():
    with pytest.raises(UserError, match="unknown split 'dev'; known: train, val"):
        voc_splits.parse_splits(["dev"])
