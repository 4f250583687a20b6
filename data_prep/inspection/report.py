"""Prints what a data set holds and what is damaged, and saves its contact sheet."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

from data_prep.build import dataset_build
from data_prep.inspection import reason_counts, set_statistics, verification
from data_prep.inspection.distribution import Distribution
from data_prep.inspection.set_statistics import Statistics
from selfsup.common.errors import UserError, error_reason
from selfsup.data import records
from selfsup.data.manifest import Manifest

_MAX_CLASSES = 8
_MAX_REASONS = 10


def sheet_path(output: str | None, directory: str, num_sets: int) -> str:
    """Returns the path of a data set's contact sheet.

    Args:
      output: the path that the user asked for, if any.
      directory: absolute path of the data set.
      num_sets: number of data sets that are inspected.
    """
    if output is None:
        return f"{directory}.png"
    if num_sets == 1:
        return output
    stem, extension = os.path.splitext(output)
    return f"{stem}-{os.path.basename(directory)}{extension}"


def show(manifest: Manifest, max_records: int = 0, workers: int = 0) -> list[str]:
    """Prints what a data set holds.

    Args:
      manifest, max_records, workers: see `set_statistics.collect`.

    Returns:
      texts about the damaged shards, which are printed too.
    """
    print(f"{manifest.directory}: {manifest.kind}, {', '.join(manifest.features)}")
    by_split, problems = set_statistics.collect(manifest, max_records, workers)
    for split, collected in by_split.items():
        for line in _split_lines(manifest, split, collected):
            print(line)
    for line in _origin_lines(manifest):
        print(line)
    for problem in problems:
        print(f"DAMAGED {problem}")
    print(flush=True)
    return problems


def _split_lines(
    manifest: Manifest, split: str, collected: Statistics
) -> Iterator[str]:
    """Describes a split."""
    total = manifest.records(split)
    part = (
        ""
        if collected.num_records == total
        else f" ({collected.num_records} of them read)"
    )
    shards = manifest.split(split)
    size = sum(shard.bytes for shard in shards)
    yield f"  {split}: {total} records{part} in {len(shards)} shards, {_bytes(size)}"
    if not collected.num_records:
        return
    formats = ", ".join(f"{count} {name}" for name, count in collected.formats.items())
    yield (
        f"    images: {formats}; width {_range(collected.widths)}, height "
        f"{_range(collected.heights)}, bytes {_range(collected.image_bytes)}"
    )
    for feature, lines in _FEATURE_LINES.items():
        if feature in manifest.features:
            yield from (f"    {line}" for line in lines(manifest.labels, collected))


def _label_lines(names: Sequence[str], collected: Statistics) -> Iterator[str]:
    counts = [collected.labels[index] for index in range(len(names))]
    yield f"labels: {_class_counts(names, counts, 'images')}"
    unlabelled = collected.labels[records.NO_LABEL]
    if unlabelled:
        yield f"labels: {unlabelled} images without"


def _class_counts(names: Sequence[str], counts: Sequence[int], unit: str) -> str:
    used = [count for count in counts if count]
    missing = [name for name, count in zip(names, counts) if not count]
    if not used:
        return f"no {unit} of the {len(names)} classes"
    text = (
        f"{len(used)} of {len(names)} classes; {unit} per class {min(used)} / "
        f"{statistics.median_low(used)} / {max(used)}"
    )
    if missing:
        listed = ", ".join(missing[:_MAX_CLASSES])
        more = ", ..." if len(missing) > _MAX_CLASSES else ""
        text += f"; none of {len(missing)}: {listed}{more}"
    return text


def _mask_lines(names: Sequence[str], collected: Statistics) -> Iterator[str]:
    yield (
        f"masks: foreground {_shares(collected.foreground)}, ignored "
        f"{_shares(collected.ignored)}; {collected.empty_masks} of "
        f"{collected.num_records} without foreground"
    )


def _box_lines(names: Sequence[str], collected: Statistics) -> Iterator[str]:
    total = sum(collected.classes.values())
    yield (
        f"boxes: {total}, {collected.difficult} of them difficult; per image "
        f"{_range(collected.objects)}; side (root of area) {_range(collected.box_sides)}"
    )
    counts = [collected.classes[index] for index in range(len(names))]
    yield f"boxes: {_class_counts(names, counts, 'boxes')}"
    common = sorted(zip(counts, names), reverse=True)[:_MAX_CLASSES]
    yield "boxes: " + ", ".join(f"{count} {name}" for count, name in common if count)


def _depth_lines(names: Sequence[str], collected: Statistics) -> Iterator[str]:
    yield (
        f"depth: known for {_shares(collected.known_depth)} of an image; metres "
        f"{_range(collected.depths)}"
    )


# Functions of the class names and the statistics.
_FEATURE_LINES: dict[str, Callable[[Sequence[str], Statistics], Iterator[str]]] = {
    records.LABEL: _label_lines,
    records.MOTION_MASK: _mask_lines,
    records.BOXES: _box_lines,
    records.DEPTH: _depth_lines,
}


def _origin_lines(manifest: Manifest) -> Iterator[str]:
    """Describes the inputs that the data set was built from, and how."""
    inputs = dict(manifest.inputs)
    counts = inputs.pop("counts", None)
    inputs.update(counts if isinstance(counts, dict) else {})
    if inputs:
        yield "  inputs: " + _pairs(inputs)
    for name, verb in (
        (dataset_build.SET_ASIDE_FILE, "set aside"),
        (dataset_build.REPAIRED_FILE, "repaired"),
    ):
        reasons = reason_counts.count_reasons(os.path.join(manifest.directory, name))
        for reason, count, example in reasons[:_MAX_REASONS]:
            yield f"  {verb}: {count} {reason} (such as {example})"
        if len(reasons) > _MAX_REASONS:
            yield f"  {verb}: for {len(reasons) - _MAX_REASONS} more reasons, in {name}"
    if manifest.options:
        yield "  options: " + _pairs(manifest.options)
    if manifest.versions:
        yield "  built with: " + _pairs(manifest.versions)


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _range(distribution: Distribution) -> str:
    """ "minimum / median / maximum"."""
    if not distribution.count:
        return "-"
    values = distribution.minimum, distribution.median, distribution.maximum
    return " / ".join(
        f"{value:.4g}" if value % 1 else f"{value:.0f}"
        for value in values
        if value is not None
    )


def _shares(distribution: Distribution) -> str:
    """Mean and range of shares, in percent."""
    minimum, maximum = distribution.minimum, distribution.maximum
    if minimum is None or maximum is None:
        return "-"
    return f"{distribution.mean:.1%} ({minimum:.0%} to {maximum:.0%})"


def _bytes(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.4g} {unit}"
        size /= 1000
    return f"{size:.4g} TB"


def save_sheet(manifest: Manifest, output: str, count: int, seed: int) -> None:
    """Saves the contact sheet of a data set as a PNG file and prints its path.

    Args:
      manifest: the data set.
      output: path of the file.
      count: number of records on the sheet.
      seed: seed of the random choice of records.

    Raises:
      UserError: the file cannot be written.
    """
    from PIL import Image

    from data_prep.inspection import contact_sheet

    picture = contact_sheet.draw(manifest, count, seed)
    if picture is None:
        print(f"{manifest.directory}: no record can be drawn", file=sys.stderr)
        return
    try:
        Image.fromarray(picture).save(output, "PNG")
    except OSError as error:
        raise UserError(
            f"{output}: cannot be written: {error_reason(error)}"
        ) from error
    print(f"contact sheet: {output}", flush=True)


def verify(manifest: Manifest, workers: int = 0) -> dict[str, list[str]]:
    """Checks a data set and prints what is wrong; see `verification.verify`."""
    problems = verification.verify(manifest, workers)
    for file, texts in problems.items():
        path = os.path.join(manifest.directory, file)
        print(f"DAMAGED {path}: {'; '.join(texts)}")
    count = len(manifest.shards)
    num_records = sum(shard.records for shard in manifest.shards)
    verdict = (
        f"{len(problems)} of {count} shards are damaged" if problems else "no damage"
    )
    print(f"verified {count} shards, {num_records} records: {verdict}", flush=True)
    return problems
