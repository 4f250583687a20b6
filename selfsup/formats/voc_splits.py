"""Which image of a VOC devkit is in which split, from its ImageSets/Main lists."""

from typing import NamedTuple

from selfsup.common.errors import UserError

SPLITS = ("train", "validation", "test")
_SPLIT_OF_LIST = {"train": "train", "val": "validation", "test": "test"}
_MEANS = {
    "train": ("train",),
    "val": ("validation",),
    "validation": ("validation",),
    "trainval": ("train", "validation"),
    "test": ("test",),
}


class Assignment(NamedTuple):
    """An image's split, and why it cannot be used, or ""."""

    split: str
    problem: str


def parse_splits(words):
    """The splits that words of --splits mean, in order; all for no words.

    Raises:
      UserError: a word means none.
    """
    for word in words:
        if word not in _MEANS:
            raise UserError(f"--splits={word}: expected some of {', '.join(_MEANS)}")
    meant = {split for word in words for split in _MEANS[word]}
    return tuple(split for split in SPLITS if split in meant) or SPLITS


def assign(lists):
    """Assigns each listed image to a split.

    Args:
      lists: {"train", "val", "trainval" or "test": image ids}; those that are there.
        Where train or val is missing, it is what trainval has beside the other;
        where both are, all of trainval is for training.

    Returns:
      {image id: `Assignment`}. An image that two splits have is in neither, since no
      model may be tested on what it was trained on.
    """
    found = {}
    for name, split in _SPLIT_OF_LIST.items():
        for image in lists.get(name, ()):
            found.setdefault(image, []).append(split)
    rest = "train" if "train" not in lists else ""
    rest = "validation" if "train" in lists and "val" not in lists else rest
    for image in lists.get("trainval", ()):
        splits = found.setdefault(image, [])
        if not set(splits) & {"train", "validation"}:
            splits.insert(0, rest)
    return {image: _settle(splits) for image, splits in found.items()}


def _settle(splits):
    if len(splits) > 1:
        lists = " and ".join(split or "trainval" for split in splits)
        return Assignment(splits[0] or "train", f"is listed twice: for {lists}")
    if not splits[0]:
        return Assignment(
            "train", "is listed in trainval, but neither in train nor val"
        )
    return Assignment(splits[0], "")


def explain_missing(lists, splits):
    """Says which of `splits` have no list.

    Args:
      lists: as in `assign`.
      splits: names of splits.

    Returns:
      {split: str}.
    """
    missing = {}
    if "train" not in lists and "trainval" not in lists:
        missing["train"] = "neither train.txt nor trainval.txt is there"
    if "val" not in lists and not {"train", "trainval"} <= set(lists):
        missing["validation"] = "val.txt is not there"
        if "trainval" in lists:
            missing["validation"] += ": all of trainval.txt is for training"
    if "test" not in lists:
        missing["test"] = (
            "test.txt is not there: the test set is a tar of its own "
            "(VOCtest_06-Nov-2007.tar for 2007)"
        )
    return {split: missing[split] for split in splits if split in missing}
