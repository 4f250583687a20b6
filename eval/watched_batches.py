"""Passes over images that show their progress and can be stopped by a signal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import tensorflow as tf

from selfsup.common.progress import ProgressBar
from selfsup.common.stop_signals import StopSignals

# A tensor, or a dict of tensors.
Batch = TypeVar("Batch")


class Stopped(Exception):
    """A signal arrived during a pass that leaves nothing to resume from."""


def watched(
    batches: Iterable[Batch], description: str, total: int, stop: StopSignals
) -> Iterator[Batch]:
    """Yields batches while it shows the number of images so far.

    Args:
      batches: tensors, or dicts of tensors, whose first dimension is the batch.
      description: name of the pass on the progress bar.
      total: number of images in all batches.
      stop: the signals that stop the pass, already entered as a context.

    Raises:
      Stopped: when a signal has arrived.
    """
    done = 0
    with ProgressBar(description, total) as progress:
        for batch in batches:
            if stop.received is not None:
                raise Stopped
            yield batch
            images: tf.Tensor = batch
            if isinstance(batch, dict):
                images = next(iter(batch.values()))
            done += images.shape[0]
            progress.update(min(done, total))
