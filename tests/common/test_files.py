import os

import pytest

from selfsup.common import files


def test_a_replaced_folder_has_only_its_new_content(tmp_path):
    path = str(tmp_path / "set")
    for number in ("1", "2"):
        with files.replace_folder(path) as partial:
            os.mkdir(os.path.join(partial, "inside"))
            files.write_atomically(os.path.join(partial, "inside", number), number)
    assert os.listdir(os.path.join(path, "inside")) == ["2"]
    assert os.listdir(tmp_path) == ["set"]


def test_a_folder_stays_as_it_was_after_an_error(tmp_path):
    path = tmp_path / "set"
    path.mkdir()
    (path / "kept").write_text("")
    with pytest.raises(KeyError), files.replace_folder(str(path)) as partial:
        files.write_atomically(os.path.join(partial, "new"), "")
        raise KeyError
    assert os.listdir(path) == ["kept"]
    assert os.listdir(tmp_path) == ["set"]


def test_a_new_folder_is_absent_until_it_is_complete(tmp_path):
    path = tmp_path / "set"
    with files.replace_folder(f"{path}/"):
        assert not path.exists()
    assert path.is_dir()


def test_a_folder_that_cannot_be_replaced_is_put_back(tmp_path, monkeypatch):
    path = tmp_path / "set"
    path.mkdir()
    (path / "kept").write_text("")
    rename = os.rename

    def fail_for_partial(source, target):
        if os.path.basename(source) != "set" and not source.endswith(".old.partial"):
            raise OSError("no")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail_for_partial)
    with pytest.raises(OSError, match="no"), files.replace_folder(str(path)):
        pass
    assert os.listdir(path) == ["kept"]


def test_atomic_write_replaces_whole_files(tmp_path):
    path = tmp_path / "file"
    files.write_atomically(str(path), "before")
    files.write_atomically(str(path), b"after")
    assert path.read_bytes() == b"after"
    assert os.listdir(tmp_path) == ["file"]


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("before")

    def no_space(temporary, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "publish", no_space)
    with pytest.raises(OSError, match="No space"):
        files.write_atomically(str(path), "after")
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file"]
