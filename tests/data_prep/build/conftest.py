from __future__ import annotations

import faulty_inputs
import pytest

from data_prep.build import worker_pool


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """(folder, manifest) of a whole build with every kind of bad input."""
    output = tmp_path_factory.mktemp("built")
    convert = faulty_inputs.Convert(lethal=True)
    return output, faulty_inputs.build(output, convert=convert, time_limit=3.0)


@pytest.fixture
def in_process(monkeypatch):
    """Makes builds run without worker processes."""
    monkeypatch.setattr(worker_pool, "run", faulty_inputs.run_in_process)


@pytest.fixture
def folder(tmp_path):
    """A folder of eight inputs."""
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(8):
        (folder / f"{index}").write_text(f"input {index}")
    return folder
