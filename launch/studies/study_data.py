"""The data sets of a study: which folder serves which cells, and what is in it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping

from launch.studies.study import Study
from selfsup.common import files, paths
from selfsup.common.errors import SettingError, UserError
from selfsup.data import manifest

PRETRAINING = "pretraining"
COLOR_PRIOR = "color_prior.csv"
# The folder of the data set of each evaluation, below `data`.
FOLDERS = {
    "imagenet_linear": "imagenet",
    "few_labels": "imagenet",
    "voc07_detection": "voc07",
    "nyuv2_depth": "nyuv2",
    "nyuv2_normals": "nyuv2",
}


@dataclasses.dataclass(frozen=True)
class DataSource:
    """A folder of built data sets.

    Attributes:
      folder: absolute path.
      content: fingerprint of what is in it, or of the cells that build it.
      needs: names of the cells that build it; empty for sets that exist.
    """

    folder: str
    content: str
    needs: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class StudyData:
    """The data of all cells of a study.

    Attributes:
      sources: by use, `PRETRAINING` or the name of an evaluation.
      color_prior: absolute path of an existing colour prior; "" if a cell measures it.
    """

    sources: Mapping[str, DataSource]
    color_prior: str = ""


def uses(study: Study) -> tuple[str, ...]:
    """Returns the uses of data in a study: `PRETRAINING` and its evaluations."""
    pretrains = any(row.pretraining for row in study.rows)
    evaluations = tuple(plan.name for plan in study.evaluations)
    return (PRETRAINING, *evaluations) if pretrains else evaluations


def parse_overrides(texts: Iterable[str]) -> dict[str, str]:
    """Returns the folders of `data_for` by use.

    Args:
      texts: strings "USE=DIR".

    Raises:
      UserError: for a text of another form or an unknown use.
    """
    known = (PRETRAINING, *FOLDERS)
    folders = {}
    for text in texts:
        use, equals, folder = text.partition("=")
        if not equals or not folder or use not in known:
            raise SettingError(
                f"data_for={text}",
                f"expected USE=DIR, with USE one of: {', '.join(known)}",
            )
        try:
            folders[use] = paths.local(folder)
        except UserError as error:
            raise SettingError(f"data_for={text}", str(error)) from error
    return folders


def find(study: Study, data: str | None, overrides: Mapping[str, str]) -> StudyData:
    """Finds the existing data sets of a study.

    Args:
      study: the study.
      data: the folder of `data`; None if each use has a folder of its own.
      overrides: folders by use, which replace those below `data`.

    Raises:
      UserError: if a data set is missing; the message lists all that are.
    """
    sources, missing = {}, []
    for use in uses(study):
        folder = overrides.get(use) or _default_folder(use, data)
        try:
            sources[use] = DataSource(os.path.abspath(folder), content(folder))
        except UserError:
            missing.append(f"{use}: no built data set in {folder}")
    if missing:
        raise UserError(
            f"study {study.name}: data sets are missing. {'; '.join(missing)}. Build them "
            "(docs/data.md), or name other folders by data_for=USE=DIR"
        )
    return StudyData(sources, _color_prior(sources.get(PRETRAINING), data))


def content(folder: str) -> str:
    """Returns a checksum of the content of the data sets in or below `folder`.

    Raises:
      UserError: if there is none, or a manifest cannot be read.
    """
    sets = manifest.find(folder)
    splits = sorted({shard.split for each in sets for shard in each.shards})
    return manifest.fingerprint(sets, splits)


def contents(folders: Iterable[str]) -> dict[str, str]:
    """Returns `content` of each folder; "" where there is none."""
    checksums = {}
    for folder in folders:
        try:
            checksums[folder] = content(folder)
        except UserError:
            checksums[folder] = ""
    return checksums


def prior_content(path: str) -> str:
    """Returns a checksum of a colour prior."""
    return files.sha256(path)


def _default_folder(use: str, data: str | None) -> str:
    if data is None:
        raise SettingError(
            "data",
            "this study needs built data sets; give the folder that holds them, or "
            f"data_for={use}=DIR for each use",
        )
    if use != PRETRAINING:
        return os.path.join(data, FOLDERS[use])
    own = os.path.join(data, PRETRAINING)
    return own if os.path.isdir(own) else data


def _color_prior(pretraining: DataSource | None, data: str | None) -> str:
    """Returns the path of a colour prior beside the photos or above them, or ""."""
    folders = [pretraining.folder] if pretraining else []
    folders += [os.path.abspath(data)] if data else []
    paths = [os.path.join(folder, COLOR_PRIOR) for folder in folders]
    return next(filter(os.path.isfile, paths), "")
