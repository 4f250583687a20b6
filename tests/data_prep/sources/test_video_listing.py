import tracemalloc

import pytest

from data_prep.build.inputs import Input
from data_prep.sources import video_listing
from selfsup.common.errors import UserError

MISSING = video_listing.MISSING


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "videos"
    for name in (
        "b/same.mp4",
        "a/same.webm",
        "-dash_.mkv",
        "deep/er/4711.mp4",
        "with space é.avi",
        "notes.txt",
        ".hidden/hidden.mp4",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def listed(folder, text):
    path = folder.parent / "list.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    output = str(folder.parent / "out")
    return list(video_listing.find_listed(str(folder), output, str(path)))


def test_lines_are_paths_ids_and_addresses(folder, capsys):
    items = listed(
        folder,
        """
        # what was crawled
        b/same.mp4
        ./deep/er/../er/4711.mp4
        with space é.avi
        -dash_
        same
        4711.mov
        https://host.example/watch?list=x&v=-dash_
        http://host.example/photos/4711/
        http://host.example/photos/4711.mp4?size=large
        https://host.example/4711.WEBM
        https://host.example/with%20space%20%C3%A9.avi
        """,
    )
    paths = ["b/same.mp4", "deep/er/4711.mp4", "with space é.avi", "-dash_.mkv"]
    # If two videos have the same name, the first is used.
    paths += ["a/same.webm", "deep/er/4711.mp4", "-dash_.mkv", "deep/er/4711.mp4"]
    paths += ["deep/er/4711.mp4", "deep/er/4711.mp4", "with space é.avi"]
    assert items == [Input(path) for path in paths]
    assert "11 videos, 0 of them not on disk" in capsys.readouterr().err


def test_lines_that_are_not_on_disk_have_a_reason(folder, capsys):
    lines = ["gone", "b/gone.mp4", "http://host.example/gone", "notes", "hidden"]
    lines += ["http://[abc/def", "http://host.example", "http://host.example/x.mp4"]
    items = listed(folder, "\n".join([*lines, "../list.txt", "/etc/hosts", "same"]))
    assert items == [
        *(Input(line, detail=MISSING) for line in lines),
        Input("../list.txt", detail=video_listing.OUTSIDE),
        Input("/etc/hosts", detail=video_listing.OUTSIDE),
        Input("a/same.webm"),
    ]
    assert "11 videos, 10 of them not on disk" in capsys.readouterr().err


def test_faulty_lists_are_refused(folder, tmp_path):
    with pytest.raises(UserError, match=r"list\.txt: holds no line"):
        listed(folder, "\n# nothing\n")
    with pytest.raises(UserError, match="is not a text file in UTF-8"):
        listed(folder, "same\n".encode("utf-16"))
    with pytest.raises(UserError, match="gone: cannot be read"):
        list(video_listing.find_listed(str(folder), "out", "gone"))
    with pytest.raises(UserError, match="gone: is not a folder"):
        list(video_listing.find_listed("gone", "out", "list.txt"))
    # Latin-1 is read as bytes that no file name has.
    (item,) = listed(folder, "é".encode("latin-1"))
    assert item == Input("\udce9", detail=MISSING)


def test_subsets_are_the_same_and_grow_with_the_limit():
    names = [f"{index}.mp4" for index in range(1000)]
    gone = Input("gone", detail=MISSING)
    few = list(video_listing.choose([gone, *names, *names], 50))
    assert few[0] == gone
    assert len({item.key for item in few}) == len(few) == 51
    assert few == list(video_listing.choose([gone, *reversed(names)], 50))
    assert set(few) < set(video_listing.choose([gone, *names], 60))
    half = set(video_listing.choose(names[::2], 50))
    # About half of the choice remains if half of the videos are missing.
    assert len(half & set(few)) >= 15
    assert len(list(video_listing.choose(names, 5000))) == 1000


def test_names_are_not_held_in_memory(folder):
    count = 20_000
    path = folder.parent / "list.txt"
    path.write_text("".join(f"a-name-of-some-length-{i}\n" for i in range(count)))
    tracemalloc.start()
    items = video_listing.find_listed(str(folder), "out", str(path))
    assert sum(item.detail == MISSING for item in items) == count
    names = (f"a-name-of-some-length-{index}" for index in range(count))
    assert sum(1 for _ in video_listing.choose(names, count)) == count
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The names would take over a megabyte in each of the two loops.
    assert peak < 300_000
