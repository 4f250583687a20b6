import collections
import dataclasses
import hashlib
import itertools
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

import faulty_inputs
import pytest
import tensorflow as tf

from data_prep.build import shards, worker_pool, writer
from selfsup.common.errors import UserError
from selfsup.data import manifest

SHARDS = 6
BAD = {
    faulty_inputs.REFUSED,
    faulty_inputs.RAISES,
    faulty_inputs.EMPTY,
    faulty_inputs.KILLS,
    faulty_inputs.HANGS,
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    output = tmp_path_factory.mktemp("built")
    convert = faulty_inputs.Convert(lethal=True)
    return output, faulty_inputs.build(output, convert=convert, time_limit=3.0)


@pytest.fixture
def in_process(monkeypatch):
    monkeypatch.setattr(worker_pool, "run", faulty_inputs.run_in_process)


def _checksums(output):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in output.glob("*.tfrecord")
    }


def _keys_of(path):
    """Counter of the keys whose records the shard holds."""
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return collections.Counter(record.decode().split("/")[0] for record in records)


def _script(output, seconds, limit=None):
    """Starts a build in a process group of its own."""

    def limit_files():
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    root = str(pathlib.Path(writer.__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, faulty_inputs.__file__, str(output), str(seconds)],
        env={**os.environ, "PYTHONPATH": root},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=limit_files,
    )


def _counts(found, set_aside):
    """`Manifest.inputs` of a builder that counts and repairs nothing."""
    return {
        "found": found,
        "used": found - set_aside,
        "set_aside": set_aside,
        "repaired": 0,
        "counts": {},
    }


def _wait_for_shards(process, output, count):
    """Waits until `count` shards are finished."""
    while len(list((output / ".build").glob("*.tfrecord.json"))) < count:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)


def test_every_usable_input_is_in_exactly_one_shard(built):
    output, made = built
    total = collections.Counter()
    for shard in made.shards:
        total += _keys_of(output / shard.file)
    usable = set(faulty_inputs.KEYS) - BAD
    assert total == dict.fromkeys(usable, faulty_inputs.RECORDS_EACH)


def test_manifest_tells_what_is_there(built):
    output, made = built
    assert manifest.find(str(output)) == [made]
    assert [shard.file for shard in made.split("train")] == [
        f"train-{index:05d}-of-00005.tfrecord" for index in range(5)
    ]
    assert {s.file: s.sha256 for s in made.shards} == _checksums(output)
    for shard in made.shards:
        path = output / shard.file
        assert shard.bytes == path.stat().st_size
        assert shard.records == sum(_keys_of(path).values())
    counts = {"mended": 2, "refused": 1, "whole": 34}
    assert made.inputs == {**_counts(40, 5), "repaired": 1, "counts": counts}
    assert made.options == {"size": [3, 4], "quality": 95}
    assert made.versions["tensorflow"] == tf.__version__


def test_repaired_inputs_are_listed(built):
    output, _ = built
    text = (output / "repaired.tsv").read_text()
    assert text == f"{faulty_inputs.REPAIRED}\twas\\nbroken\n"


def test_held_out_inputs_are_a_tenth_and_apart(built):
    output, made = built
    (shard,) = made.split("validation")
    assert len(set(_keys_of(output / shard.file)) | BAD) <= 4 + len(BAD)
    train = set().union(*(_keys_of(output / s.file) for s in made.split("train")))
    assert not train & set(_keys_of(output / shard.file))


def test_bad_inputs_are_listed_with_their_reasons(built):
    output, _ = built
    lines = (output / "set_aside.tsv").read_text().splitlines()
    assert dict(line.split("\t") for line in lines) == {
        faulty_inputs.REFUSED: "is\\tnot to\\nmy taste",
        faulty_inputs.RAISES: "ZeroDivisionError: by it",
        faulty_inputs.EMPTY: "gave no record",
        faulty_inputs.KILLS: "crashes the decoder: process was killed by SIGSEGV",
        faulty_inputs.HANGS: "took over 3 s",
    }


def test_finished_build_is_not_made_again(built, capfd):
    output, made = built
    before = {path: path.stat().st_mtime_ns for path in output.glob("*.tfrecord")}
    assert faulty_inputs.build(output, convert=None) == made
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert "40 of 40 inputs are done already" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"options": {"size": (3, 4), "quality": 90}}, "quality: 95 then, 90 now"),
        ({"inputs": faulty_inputs.KEYS[1:]}, "40 input files then, 39 now"),
        ({"inputs": ("x", *faulty_inputs.KEYS[1:])}, "other input files"),
        ({"directory": os.curdir}, "other input files, or changed since"),
        ({"num_shards": 7}, "shards: 6 then, 8 now"),
        (
            {"inputs": [writer.Input(key, detail="x") for key in faulty_inputs.KEYS]},
            "other input files, or changed since",
        ),
    ],
)
def test_another_build_in_the_same_folder_is_refused(built, changes, told):
    output, _ = built
    with pytest.raises(UserError, match=told):
        faulty_inputs.build(output, **changes)


def test_foreign_set_is_not_written_over(built, tmp_path):
    output, _ = built
    text = (output / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match="holds a built set already"):
        faulty_inputs.build(tmp_path)
    assert (tmp_path / "manifest.json").read_text() == text


def test_kill_and_interrupt_lose_nothing(built, tmp_path, in_process):
    """SIGINT, then a second builder beside the third, which SIGKILL ends."""
    reference, made = built
    process = _script(tmp_path, seconds=0.05)
    _wait_for_shards(process, tmp_path, 1)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "error: interrupted; finished shards are kept" in told
    assert "Traceback" not in told
    assert 1 <= len(_checksums(tmp_path)) < SHARDS

    process = _script(tmp_path, seconds=0.5)
    while not list(tmp_path.glob("*.tmp")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    with pytest.raises(UserError, match="another builder is writing there"):
        faulty_inputs.build(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert not (tmp_path / "manifest.json").exists()

    resumed = faulty_inputs.build(tmp_path)
    assert resumed.shards == made.shards
    assert _checksums(tmp_path) == _checksums(reference)
    assert not list(tmp_path.rglob("*.tmp"))


def test_full_disk_keeps_finished_shards(built, tmp_path, in_process):
    """A file size limit, which lets the smaller shards through, stands in for it."""
    reference, made = built
    sizes = sorted(shard.bytes for shard in made.shards)
    process = _script(tmp_path, seconds=0.0, limit=sizes[-1] - 1)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "cannot be written" in told and "Traceback" not in told
    left = _checksums(tmp_path)
    assert left.items() <= _checksums(reference).items()
    assert not (tmp_path / "manifest.json").exists()
    assert faulty_inputs.build(tmp_path).shards == made.shards


@pytest.fixture
def folder(tmp_path):
    """A folder of eight inputs."""
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(8):
        (folder / f"{index}").write_text(f"input {index}")
    return folder


def _build_folder(folder, output, left):
    convert = faulty_inputs.ReadInputs(folder, left, folder.with_name("elsewhere"))
    return faulty_inputs.build(
        output,
        inputs=[f"{index}" for index in range(8)],
        convert=convert,
        directory=str(folder),
        num_shards=4,
    )


def test_vanished_input_folder_ends_the_build_to_be_resumed(
    folder, tmp_path, in_process
):
    output = tmp_path / "out"
    with pytest.raises(UserError, match=r"in: cannot be read any more: .* again to go"):
        _build_folder(folder, output, left=5)
    assert 1 <= len(_checksums(output)) < 5
    assert not (output / "manifest.json").exists()
    assert not list(output.glob("*.tmp"))

    folder.with_name("elsewhere").rename(folder)
    made = _build_folder(folder, output, left=-1)
    assert made.inputs == _counts(8, 0)
    whole = _build_folder(folder, tmp_path / "whole", left=-1)
    assert made.shards == whole.shards


def test_vanished_file_is_set_aside(folder, tmp_path, in_process):
    (folder / "3").unlink()
    made = _build_folder(folder, tmp_path / "out", left=-1)
    assert made.inputs == _counts(8, 1)
    aside = (tmp_path / "out" / "set_aside.tsv").read_text()
    assert aside.startswith("3\tFileNotFoundError: ")


def test_folder_that_goes_with_a_shards_last_input(folder, tmp_path):
    """Its records may be of a file that was cut short."""

    def convert(item):
        folder.rename(folder.with_name("elsewhere"))
        return [b"record"]

    (tmp_path / "out" / ".build").mkdir(parents=True)
    job = shards.ShardJob(str(tmp_path / "out"), "train.tfrecord", "train", 0, 1)
    source = shards.InputStorage.from_paths([str(folder)])
    work = shards.ShardWriter(convert, lambda job: [writer.Input("0")], source)
    work = work((job, {}))
    with pytest.raises(StopIteration) as stop:
        while True:
            next(work)
    assert isinstance(stop.value.value, shards.ShardFailure)
    assert not os.path.exists(job.path)


def test_empty_mount_point_is_not_the_folder_it_was(folder):
    """What an unmounted disk leaves is a folder too, on another file system."""
    source = shards.InputStorage.from_paths([str(folder)])
    source.check()
    ((path, device),) = source.devices
    elsewhere = dataclasses.replace(source, devices=((path, device + 1),))
    with pytest.raises(shards.StorageUnavailable, match="on another disk"):
        elsewhere.check()
    with pytest.raises(UserError, match="gone: cannot be read"):
        shards.InputStorage.from_paths([str(folder / "gone")])


def test_unwritable_output_is_said(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        faulty_inputs.build(tmp_path / "file")


def test_no_training_record_is_no_set(tmp_path, in_process):
    held_out = [writer.Input(faulty_inputs.KEYS[0], "validation")]
    train = [writer.Input(faulty_inputs.REFUSED, "train")]
    message = r"1 of 2 inputs can be used, but not for training, as they are held out;"
    with pytest.raises(UserError, match=message):
        faulty_inputs.build(tmp_path / "a", inputs=train + held_out)
    made = faulty_inputs.build(tmp_path / "b", inputs=held_out)
    assert made.records("validation") == faulty_inputs.RECORDS_EACH


def _drawn_first(keys):
    """The one of two keys that a build holds out."""
    return min(keys, key=lambda key: hashlib.sha256(key.encode()).digest())


def test_a_build_says_that_all_that_is_usable_was_held_out(tmp_path, in_process):
    bad = (faulty_inputs.REFUSED, faulty_inputs.RAISES, faulty_inputs.EMPTY)
    pairs = itertools.product(sorted({*faulty_inputs.KEYS} - BAD), bad)
    pair = next(one for one in pairs if _drawn_first(one) == one[0])
    with pytest.raises(UserError, match="--validation_fraction=0 holds nothing out"):
        faulty_inputs.build(tmp_path / "a", inputs=pair)
    made = faulty_inputs.build(tmp_path / "b", inputs=pair, validation_fraction=0)
    assert made.records("train") == faulty_inputs.RECORDS_EACH


def test_a_build_says_that_nothing_that_was_held_out_is_usable(
    tmp_path, in_process, capfd
):
    pairs = [(good, faulty_inputs.REFUSED) for good in faulty_inputs.KEYS[:3]]
    pair = next(one for one in pairs if _drawn_first(one) == faulty_inputs.REFUSED)
    made = faulty_inputs.build(tmp_path, inputs=pair)
    assert (made.records("train"), made.records("validation")) == (2, 0)
    assert "validation: no records, as all inputs drawn" in capfd.readouterr().err


def test_worker_that_is_killed_from_outside_is_no_inputs_fault(tmp_path, capfd):
    """As when memory runs out: tried again, then the end, to be resumed."""
    with pytest.raises(UserError, match=r"SIGKILL.*memory.*run the same command again"):
        faulty_inputs.build(
            tmp_path,
            inputs=faulty_inputs.KEYS[:2],
            num_shards=1,
            validation_fraction=0.0,
            convert=faulty_inputs.kill_own_process,
        )
    assert "trying again" in capfd.readouterr().err
    assert not (tmp_path / "manifest.json").exists()


def test_lists_hold_printable_text_alone(tmp_path, in_process):
    """What a terminal would obey, and what some take for a line's end."""
    made = faulty_inputs.build(
        tmp_path, inputs=["good", "\x1b[31mred\u2028.jpg"], convert=faulty_inputs.Picky()
    )
    assert made.inputs["set_aside"] == 1
    text = (tmp_path / "set_aside.tsv").read_text()
    assert text == "\\x1b[31mred\\u2028.jpg\tno \\x07\n"


def test_refused_folder_is_left_as_it_was(tmp_path):
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(UserError, match="other files"):
        faulty_inputs.build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_nothing_to_build(tmp_path):
    with pytest.raises(UserError, match="no input was found"):
        faulty_inputs.build(tmp_path, inputs=())


def test_nothing_usable(tmp_path, in_process):
    keys = (faulty_inputs.REFUSED, faulty_inputs.RAISES)
    with pytest.raises(UserError, match="nothing usable among 2 inputs"):
        faulty_inputs.build(tmp_path, inputs=keys)
    assert not (tmp_path / "manifest.json").exists()
    assert len((tmp_path / "set_aside.tsv").read_text().splitlines()) == 2


def test_damaged_sidecar_is_no_finished_shard(tmp_path):
    job = shards.ShardJob(str(tmp_path), "train.tfrecord", "train", 0, 1)
    (tmp_path / ".build").mkdir()
    inputs = [writer.Input("key")]
    work = shards.ShardWriter(
        lambda item: [b"x"], lambda job: inputs, shards.InputStorage(())
    )
    steps = work((job, {}))
    assert list(steps) == ["key", None]
    assert shards.read_result(job).records == 1
    sidecar = tmp_path / ".build" / "train.tfrecord.json"
    whole = sidecar.read_text()
    sidecar.write_text(whole[:-5])
    assert shards.read_result(job) is None
    sidecar.write_text(whole)
    (tmp_path / "train.tfrecord").write_bytes(b"cut")
    assert shards.read_result(job) is None
