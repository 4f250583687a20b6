"""Passes over images that show their progress and can be stopped."""

from selfsup.common.progress import ProgressBar


class Stopped(Exception):
    """A signal came during a pass that leaves nothing to go on from."""


def watched(batches, what, total, stop):
    """Yields what `batches` has, and shows how far it is.

    Args:
      batches: iterable of tensors, or of dicts of them, of as many images as their
        first dimension has.
      what: the pass, for people.
      total: images in all.
      stop: a `hybrid.stop.StopSignals` that has been entered.

    Raises:
      Stopped: when a signal has come.
    """
    done = 0
    with ProgressBar(what, total) as progress:
        for batch in batches:
            if stop.received is not None:
                raise Stopped
            yield batch
            first = next(iter(batch.values())) if isinstance(batch, dict) else batch
            done += first.shape[0]
            progress.update(min(done, total))
