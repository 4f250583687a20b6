"""The cells that render and build the data of a study that is given none."""

from __future__ import annotations

import os
from collections.abc import Mapping

from launch.studies import cell
from launch.studies.cell import Cell
from launch.studies.study_data import (
    COLOR_PRIOR,
    FOLDERS,
    PRETRAINING,
    DataSource,
    StudyData,
)
from selfsup.data import manifest

_WORLD_FILE = "world.json"


def world_cells(
    world: Mapping[str, str], output: str
) -> tuple[tuple[Cell, ...], StudyData]:
    """Returns the cells that make the synthetic world and its data sets.

    Args:
      world: flags of `data_prep.synthetic` by name.
      output: absolute path of the study's folder.

    Returns:
      (cells, data): pretraining reads the photos and videos of the world; each evaluation
      reads its own set.
    """
    name = cell.with_fingerprint("world", cell.digest({"world": dict(world)}))
    rendered = _cell(
        "data synthetic world",
        "data_prep.synthetic",
        dict(world),
        os.path.join("data", name),
        output,
        _WORLD_FILE,
    )
    root = rendered.folder
    source = os.path.join(output, root)
    built = root.replace("world", "built", 1)
    cells = {
        name: _cell(
            f"data {name}",
            module,
            flags,
            os.path.join(built, above, name),
            output,
            manifest.FILE_NAME,
            (rendered,),
        )
        for name, (module, flags, above) in _builders(source).items()
    }
    return (rendered, *cells.values()), StudyData(_sources(cells, built, output))


def _builders(source: str) -> dict[str, tuple[str, dict[str, str], str]]:
    """How each data set is built from a rendered world.

    Args:
      source: folder of the world.

    Returns:
      by name of the set: (module, flags, folder above the set's folder, "" for none).
    """
    return {
        "imagenet": (
            "data_prep.imagenet",
            {
                "train": os.path.join(source, "imagenet", "train"),
                "validation": os.path.join(source, "imagenet", "val"),
            },
            PRETRAINING,
        ),
        "videos": (
            "data_prep.videos",
            {"input": os.path.join(source, "videos")},
            PRETRAINING,
        ),
        "voc07": (
            "data_prep.voc07",
            {"input": os.path.join(source, "VOCdevkit"), "classes": "found"},
            "",
        ),
        "nyuv2": (
            "data_prep.nyuv2",
            {
                "labelled": os.path.join(source, "nyu", "nyu_depth_v2_labeled.mat"),
                "splits": os.path.join(source, "nyu", "splits.mat"),
            },
            "",
        ),
    }


def _sources(
    cells: Mapping[str, Cell], built: str, output: str
) -> dict[str, DataSource]:
    pretraining = (cells["imagenet"], cells["videos"])
    sources = {
        PRETRAINING: DataSource(
            os.path.join(output, built, PRETRAINING),
            cell.digest({"cells": [each.fingerprint for each in pretraining]}),
            tuple(each.name for each in pretraining),
        )
    }
    for evaluation, name in FOLDERS.items():
        maker = cells[name]
        folder = os.path.join(output, maker.folder)
        sources[evaluation] = DataSource(folder, maker.fingerprint, (maker.name,))
    return sources


def color_prior_cell(source: DataSource, output: str) -> Cell:
    """Returns the cell that measures the colour prior of the pretraining's photos.

    Args:
      source: the data of the pretraining.
      output: absolute path of the study's folder.
    """
    settings = {"module": "data_prep.color_prior", "data": source.content}
    fingerprint = cell.digest(settings)
    folder = cell.with_fingerprint("color_prior", fingerprint)
    path = os.path.join("data", folder, COLOR_PRIOR)
    return Cell(
        name="data color prior",
        kind="data",
        module="data_prep.color_prior",
        flags={"data": source.folder, "output": os.path.join(output, path)},
        folder=path,
        finished=(path,),
        fingerprint=fingerprint,
        settings=settings,
        needs=source.needs,
        reads=(source.folder,),
    )


def _cell(
    name: str,
    module: str,
    flags: dict[str, str],
    folder: str,
    output: str,
    finished: str,
    needs: tuple[Cell, ...] = (),
) -> Cell:
    settings = {
        "module": module,
        "flags": {key: value for key, value in flags.items() if output not in value},
        "needs": [each.fingerprint for each in needs],
    }
    return Cell(
        name=name,
        kind="data",
        module=module,
        flags={**flags, "output": os.path.join(output, folder)},
        folder=folder,
        finished=(os.path.join(folder, finished),),
        fingerprint=cell.digest(settings),
        settings=settings,
        needs=tuple(each.name for each in needs),
    )
