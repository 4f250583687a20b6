import pytest
import tensorflow as tf
from built_sets import write_set

from selfsup.common.errors import UserError
from selfsup.data import manifest, pipeline


class KeyTask:
    """Returns the keys of records and the seeds, to test only the pipeline."""

    features = ("image",)

    def preprocess_example(self, record, seed):
        return {"key": record["key"], "seed": seed}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("set"))
    # More shards than a window, of unequal sizes, one empty.
    sizes = [3, 1, 4, 0, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4]
    return pipeline.DatasetSplit([write_set(folder, sizes)], "train")


def _keys(source, position, count, seed=7):
    batches = pipeline.training_batches(KeyTask(), source, seed, position, 1)
    return [int(batch["key"].numpy()[0]) for batch in batches.take(count)]


def test_an_epoch_has_every_record_once_and_epochs_differ(source):
    total = source.records
    keys = _keys(source, 0, 2 * total)
    assert sorted(keys[:total]) == list(range(total))
    assert sorted(keys[total:]) == list(range(total))
    assert keys[:total] != keys[total:]
    assert keys[:total] != sorted(keys[:total])


def test_seeds_change_the_order(source):
    assert _keys(source, 0, 20, seed=1) != _keys(source, 0, 20, seed=2)


@pytest.mark.parametrize("position", [1, 40, 70, 95, 96, 97, 150, 192, 500])
def test_any_position_continues_as_if_read_from_the_start(source, position):
    assert source.records == 96
    expected = _keys(source, 0, position + 30)[position:]
    assert _keys(source, position, 30) == expected


def test_example_seeds_follow_the_position(source):
    def seeds(position):
        batches = pipeline.training_batches(KeyTask(), source, 7, position, 2)
        rows = [batch["seed"].numpy().tolist() for batch in batches.take(3)]
        return [row for batch in rows for row in batch]

    assert seeds(0) == [[7, index] for index in range(6)]
    assert seeds(4) == [[7, index] for index in range(4, 10)]


def test_batches_are_whole(source):
    batches = pipeline.training_batches(KeyTask(), source, 7, 0, 5)
    assert {batch["key"].shape[0] for batch in batches.take(30)} == {5}


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (5, [["5", "6", "7"], ["8", "9", "5"]]),
        # No batch has an example twice: heads treat the others as different images.
        (2, [["5", "6"]]),
        (1, [["5", "5"]]),
    ],
)
def test_validation_is_one_pass_with_complete_batches(tmp_path, count, expected):
    made = write_set(str(tmp_path), [5, count], splits=["train", "validation"])
    source = pipeline.DatasetSplit([made], "validation")
    batches = pipeline.validation_batches(KeyTask(), source, 7, 3)
    keys = [[key.decode() for key in batch["key"].numpy()] for batch in batches]
    assert keys == expected


def test_validation_takes_its_shards_in_turn(tmp_path):
    """Each shard stands for a clip; the training split has records 0 to 4."""
    splits = ["train", "validation", "validation", "validation"]
    made = write_set(str(tmp_path), [5, 4, 1, 3], splits=splits)
    source = pipeline.DatasetSplit([made], "validation")
    batches = pipeline.validation_batches(KeyTask(), source, 7, 4)
    keys = [[key.decode() for key in batch["key"].numpy()] for batch in batches]
    assert keys == [["5", "9", "10", "6"], ["11", "7", "12", "8"]]


def test_a_missing_shard_is_named(tmp_path):
    made = write_set(str(tmp_path), [5])
    (tmp_path / made.shards[0].file).unlink()
    with pytest.raises(UserError, match=r"train-00000.tfrecord: in the manifest, but"):
        pipeline.DatasetSplit([made], "train")


def test_plain_images_are_centre_crops(tmp_path):
    made = write_set(str(tmp_path), [3], size=(24, 40))
    source = pipeline.DatasetSplit([made], "train")
    first, last = pipeline.plain_images(source, 16, 2)
    assert (first.shape, last.shape) == ((2, 16, 16, 3), (1, 16, 16, 3))
    assert first.dtype == tf.float32
    assert 0.0 <= float(tf.reduce_min(first)) < float(tf.reduce_max(first)) <= 1.0


def test_an_empty_split_is_an_error(tmp_path):
    made = write_set(str(tmp_path), [5])
    with pytest.raises(UserError, match="no records in the validation split"):
        pipeline.DatasetSplit([made], "validation")


def test_tasks_get_the_sets_with_their_features(tmp_path):
    photos = write_set(str(tmp_path / "photos"), [2])
    frames = write_set(str(tmp_path / "frames"), [2], kind=manifest.VIDEO_FRAMES)
    both = [photos, frames]
    assert pipeline.select_sets(("image",), both) == [photos]
    assert pipeline.select_sets(("image", "motion_mask"), both) == [frames]
    # Frames replace missing photos.
    assert pipeline.select_sets(("image",), [frames]) == [frames]
    # Data sets for evaluations come last.
    rest = [
        write_set(str(tmp_path / kind), [2], kind=kind)
        for kind in (manifest.OBJECTS, manifest.RGBD)
    ]
    assert pipeline.select_sets(("image",), [*rest, frames]) == [frames]
    with pytest.raises(UserError, match="motion_mask"):
        pipeline.select_sets(("image", "motion_mask"), [photos])


def test_the_stream_is_a_graph_without_python(source):
    """An iterator can then live on a remote worker."""
    stream = pipeline.record_stream(source, 7, 5)
    graph = stream._as_serialized_graph()
    assert b"PyFunc" not in graph.numpy()
    assert [spec.shape for spec in stream.element_spec] == [(), ()]
