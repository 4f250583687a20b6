"""Puts the inspection of a built set into words and pictures; the library of `inspect`."""

import os
import statistics as means
import sys

from data_prep.build import writer
from data_prep.inspection import set_statistics, verification
from selfsup.common.errors import UserError
from selfsup.data import records

_CLASSES_NAMED = 8
_REASONS = 10


def sheet_path(output, directory, sets):
    """Where a set's contact sheet goes.

    Args:
      output: what the user gave, or None.
      directory: absolute path of the set.
      sets: how many sets are inspected.
    """
    if output is None:
        return f"{directory}.png"
    if sets == 1:
        return output
    stem, extension = os.path.splitext(output)
    return f"{stem}-{os.path.basename(directory)}{extension}"


def show(manifest, max_records=0, workers=0):
    """Prints what a set holds.

    Returns:
      list of texts about shards that cannot be read, printed too.
    """
    print(f"{manifest.directory}: {manifest.kind}, {', '.join(manifest.features)}")
    found, problems = set_statistics.collect(manifest, max_records, workers)
    for split, statistics in found.items():
        for line in split_lines(manifest, split, statistics):
            print(line)
    for line in _origin_lines(manifest):
        print(line)
    for problem in problems:
        print(f"DAMAGED {problem}")
    print(flush=True)
    return problems


def split_lines(manifest, split, statistics):
    """Lines of text about one split.

    Args:
      manifest: the set's `Manifest`.
      split: its name.
      statistics: its `inspection.Statistics`.
    """
    total = manifest.records(split)
    seen = "" if statistics.records == total else f" ({statistics.records} looked at)"
    shards = manifest.split(split)
    size = sum(shard.bytes for shard in shards)
    yield f"  {split}: {total} records{seen} in {len(shards)} shards, {_bytes(size)}"
    if not statistics.records:
        return
    formats = ", ".join(f"{count} {name}" for name, count in statistics.formats.items())
    yield (
        f"    images: {formats}; width {_range(statistics.widths)}, height "
        f"{_range(statistics.heights)}, bytes {_range(statistics.image_bytes)}"
    )
    for feature, lines in _FEATURE_LINES.items():
        if feature in manifest.features:
            yield from (f"    {line}" for line in lines(manifest, statistics))


def _label_lines(manifest, statistics):
    counts = [statistics.labels[index] for index in range(len(manifest.labels))]
    yield f"labels: {_class_counts(manifest.labels, counts, 'images')}"
    without = statistics.labels[records.NO_LABEL]
    if without:
        yield f"labels: {without} images without"


def _class_counts(labels, counts, unit):
    used = [count for count in counts if count]
    missing = [name for name, count in zip(labels, counts) if not count]
    if not used:
        return f"no {unit} of the {len(labels)} classes"
    text = (
        f"{len(used)} of {len(labels)} classes; {unit} a class {min(used)} / "
        f"{means.median_low(used)} / {max(used)}"
    )
    if missing:
        named = ", ".join(missing[:_CLASSES_NAMED])
        more = ", ..." if len(missing) > _CLASSES_NAMED else ""
        text += f"; none of {len(missing)}: {named}{more}"
    return text


def _mask_lines(manifest, statistics):
    yield (
        f"masks: foreground {_shares(statistics.foreground)}, ignored "
        f"{_shares(statistics.ignored)}; {statistics.empty_masks} of "
        f"{statistics.records} without foreground"
    )


def _box_lines(manifest, statistics):
    total = sum(statistics.classes.values())
    yield (
        f"boxes: {total}, {statistics.difficult} of them difficult; an image "
        f"{_range(statistics.objects)}; side (root of area) {_range(statistics.box_sides)}"
    )
    counts = [statistics.classes[index] for index in range(len(manifest.labels))]
    yield f"boxes: {_class_counts(manifest.labels, counts, 'boxes')}"
    common = sorted(zip(counts, manifest.labels), reverse=True)[:_CLASSES_NAMED]
    yield "boxes: " + ", ".join(f"{count} {name}" for count, name in common if count)


def _depth_lines(manifest, statistics):
    yield (
        f"depth: known for {_shares(statistics.depth_valid)} of an image; metres "
        f"{_range(statistics.depths)}"
    )


_FEATURE_LINES = {
    records.LABEL: _label_lines,
    records.MOTION_MASK: _mask_lines,
    records.BOXES: _box_lines,
    records.DEPTH: _depth_lines,
}


def _origin_lines(manifest):
    """Lines about where the set comes from."""
    inputs = dict(manifest.inputs)
    counts = inputs.pop("counts", None)
    inputs.update(counts if isinstance(counts, dict) else {})
    if inputs:
        yield "  inputs: " + _pairs(inputs)
    for name, what in (
        (writer.SET_ASIDE_FILE, "set aside"),
        (writer.REPAIRED_FILE, "repaired"),
    ):
        reasons = set_statistics.read_set_aside(manifest, name)
        for reason, count, example in reasons[:_REASONS]:
            yield f"  {what}: {count} {reason} (such as {example})"
        if len(reasons) > _REASONS:
            yield f"  {what}: for {len(reasons) - _REASONS} reasons more, in {name}"
    if manifest.options:
        yield "  options: " + _pairs(manifest.options)
    if manifest.versions:
        yield "  built with: " + _pairs(manifest.versions)


def _pairs(values):
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _range(distribution):
    """ "least / median / greatest"."""
    if not distribution.count:
        return "-"
    values = (distribution.least, distribution.median, distribution.greatest)
    return " / ".join(
        f"{value:.4g}" if value % 1 else f"{value:.0f}" for value in values
    )


def _shares(distribution):
    """Mean and range of shares, in percent."""
    if not distribution.count:
        return "-"
    return (
        f"{distribution.mean:.1%} ({distribution.least:.0%} to "
        f"{distribution.greatest:.0%})"
    )


def _bytes(count):
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.4g} {unit}"
        count /= 1000
    return f"{count:.4g} TB"


def save_sheet(manifest, output, count, seed):
    """Draws a set's contact sheet to the PNG file `output`, and says so."""
    from PIL import Image

    from data_prep.inspection import contact_sheet

    picture = contact_sheet.draw(manifest, count, seed)
    if picture is None:
        print(f"{manifest.directory}: no record can be drawn", file=sys.stderr)
        return
    try:
        Image.fromarray(picture).save(output, "PNG")
    except OSError as error:
        raise UserError(f"--output={output}: cannot be written: {error}") from error
    print(f"contact sheet: {output}", flush=True)


def verify(manifest, workers=0):
    """Checks a set and prints what is wrong; returns the dict of `verification.verify`."""
    problems = verification.verify(manifest, workers)
    for file, texts in problems.items():
        path = os.path.join(manifest.directory, file)
        print(f"DAMAGED {path}: {'; '.join(texts)}")
    count = len(manifest.shards)
    records_count = sum(shard.records for shard in manifest.shards)
    verdict = (
        f"{len(problems)} of {count} shards are damaged" if problems else "all well"
    )
    print(f"verified {count} shards, {records_count} records: {verdict}", flush=True)
    return problems
