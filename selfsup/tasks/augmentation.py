"""Augmentation as in the exemplar task, for all tasks (paper section 7).

Each task decides how it takes it, by `Task.augment_examples` and `Task.augment_images`;
docs/extensions.md has the table. A task that says nothing gets the jitter of colours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from selfsup.tasks.task import Task


def preprocess_augmented(
    task: Task, examples: dict[str, tf.Tensor], seed: tf.Tensor
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Preprocesses a batch like `Task.preprocess_batch`, with augmentation.

    Args:
      task: the task.
      examples: results of `Task.preprocess_example`, batched.
      seed: int32 [2]. `Task.preprocess_batch` receives it unchanged, so that its draws
        are those of a run without augmentation.

    Returns:
      images, targets: see `Task.preprocess_batch`.
    """
    # `Task.random_views` draws from number 1.
    before, after = (tf.random.fold_in(seed, number) for number in (2, 3))
    examples = task.augment_examples(examples, before)
    images, targets = task.preprocess_batch(examples, seed)
    return task.augment_images(images, after), targets
