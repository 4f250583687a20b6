"""Assigns the images of a VOC devkit to splits by its lists in ImageSets/Main."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from selfsup.common.errors import UserError

SPLITS = ("train", "validation", "test")
_SPLIT_OF_LIST = {"train": "train", "val": "validation", "test": "test"}
_SPLITS_OF_WORD = {
    "train": ("train",),
    "val": ("validation",),
    "validation": ("validation",),
    "trainval": ("train", "validation"),
    "test": ("test",),
}


class Assignment(NamedTuple):
    """The split of an image.

    Attributes:
      split: name of the split.
      problem: why the image cannot be used, or "".
    """

    split: str
    problem: str


def parse_splits(words: Sequence[str]) -> tuple[str, ...]:
    """Returns the splits that some words name, in the order of `SPLITS`.

    Args:
      words: of "train", "val", "validation", "trainval" and "test"; none for all splits.

    Raises:
      UserError: a word is unknown.
    """
    for word in words:
        if word not in _SPLITS_OF_WORD:
            known = ", ".join(_SPLITS_OF_WORD)
            raise UserError(f"unknown split {word!r}; known: {known}")
    named = {split for word in words for split in _SPLITS_OF_WORD[word]}
    return tuple(split for split in SPLITS if split in named) or SPLITS


def assign(lists: Mapping[str, Iterable[str]]) -> dict[str, Assignment]:
    """Assigns each listed image to a split.

    Args:
      lists: image ids by list: "train", "val", "trainval" or "test". Without the list
        train or val, that split is the part of trainval that is not in the other list.
        Without both, all of trainval is for training.

    Returns:
      assignment by image id. An image in two splits is unusable in both, because a model
      must not be tested on images that it was trained on.
    """
    splits_of_image: dict[str, list[str]] = {}
    for name, split in _SPLIT_OF_LIST.items():
        for image in lists.get(name, ()):
            splits_of_image.setdefault(image, []).append(split)
    # "" marks images of trainval that train and val should have listed.
    rest = ""
    if "train" not in lists:
        rest = "train"
    elif "val" not in lists:
        rest = "validation"
    for image in lists.get("trainval", ()):
        splits = splits_of_image.setdefault(image, [])
        if not set(splits) & {"train", "validation"}:
            splits.insert(0, rest)
    return {image: _settle(splits) for image, splits in splits_of_image.items()}


def _settle(splits: list[str]) -> Assignment:
    if len(splits) > 1:
        lists = " and ".join(split or "trainval" for split in splits)
        return Assignment(splits[0] or "train", f"is listed twice: for {lists}")
    if not splits[0]:
        return Assignment("train", "is listed in trainval, but not in train or val")
    return Assignment(splits[0], "")


def explain_missing(
    lists: Mapping[str, Iterable[str]], splits: Iterable[str]
) -> dict[str, str]:
    """Explains which of some splits cannot be built, for lack of lists.

    Args:
      lists: see `assign`.
      splits: names of splits.

    Returns:
      reason by split, for the splits without a list.
    """
    missing = {}
    if "train" not in lists and "trainval" not in lists:
        missing["train"] = "neither train.txt nor trainval.txt exists"
    if "val" not in lists and not {"train", "trainval"} <= set(lists):
        missing["validation"] = "val.txt does not exist"
        if "trainval" in lists:
            missing["validation"] += ": all of trainval.txt is for training"
    if "test" not in lists:
        missing["test"] = (
            "test.txt does not exist: the test set is a separate tar "
            "(VOCtest_06-Nov-2007.tar for 2007)"
        )
    return {split: missing[split] for split in splits if split in missing}
