"""The check that a resumed run reads the data that it was started on."""

from __future__ import annotations

import json

import pytest

from selfsup.common.errors import UserError
from selfsup.pretraining import training_data


def _description(directory, digest):
    return {
        "directory": directory,
        "kind": "photos",
        "records": {"train": 1, "validation": 0},
        "shards": {"train-0.tfrecord": digest},
    }


@pytest.mark.parametrize(
    ("directory", "digest", "message"),
    [
        ("/moved", "a", None),
        (
            "/set",
            "b",
            r"the shards of /set have changed since this run started\. Restore",
        ),
        (
            "/other",
            "b",
            r"started on /set; now it would read other data, /other\. Rest",
        ),
    ],
)
def test_other_data_are_refused(tmp_path, directory, digest, message):
    path = tmp_path / training_data.FILE_NAME
    path.write_text(json.dumps([_description("/set", "a")]), encoding="utf-8")
    sets = [_description(directory, digest)]
    if message is None:
        training_data._refuse_other_data(str(path), sets)
        return
    with pytest.raises(UserError, match=message):
        training_data._refuse_other_data(str(path), sets)
