"""The multi-task network: one trunk, and a head for each task (paper figure 1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import tensorflow as tf

from selfsup import tasks as task_registry
from selfsup.common.errors import SettingError, UserError
from selfsup.data import pipeline
from selfsup.keras import keras
from selfsup.pretraining.combination import Combination
from selfsup.tasks import augmentation
from selfsup.trunk import build_trunk

if TYPE_CHECKING:
    from selfsup.pretraining.configuration import RunConfig
    from selfsup.tasks.task import Task
    from selfsup.trunk.trunk import Trunk


class MultiTaskNetwork(tf.Module):
    """A shared trunk with a head for each task and, optionally, the lasso combination.

    Without a combination layer every head receives the output of the trunk's last unit
    (figure 1a). With a combination layer each head receives its own weighted sum of all
    unit outputs (figure 1b, equation 1).

    Attributes:
      tasks: the tasks by name.
      trunk: the shared trunk.
      heads: the head of each task, by task name.
      combination: the matrix alpha, or None.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        trunk: Trunk,
        combination: Combination | None = None,
        augment: bool = False,
    ) -> None:
        """Builds a head for each task.

        Args:
          tasks: the tasks by name.
          trunk: the shared trunk.
          combination: a layer with a row for each task; None to feed the last unit to
            every head.
          augment: whether training batches are augmented as in the exemplar task.

        Raises:
          UserError: if `combination` is given and a task runs the trunk at a stride at
            which units cannot be combined, if the trunk does not have the stride of a
            task, or if a head needs another trunk.
        """
        super().__init__(name="multitask")
        self.tasks = dict(tasks)
        self.trunk = trunk
        self.combination = combination
        self._preprocess_training = (
            augmentation.preprocess_augmented if augment else _preprocess
        )
        if combination:
            _check_units_can_be_combined(self.tasks, trunk)
        for task in tasks.values():
            _check_output_stride(task, trunk)
            task.check_trunk(trunk.config)
        policy = trunk.config.dtype_policy
        self.heads: dict[str, keras.layers.Layer] = {
            name: task.build_head(policy) for name, task in tasks.items()
        }

    def __call__(self, name: str, images: tf.Tensor, training: bool) -> tf.Tensor:
        """Computes the outputs of one task's head.

        Args:
          name: the task.
          images: float32 [N, h, w, 3] in [0, 1].
          training: whether batch normalisation uses the statistics of the batch.

        Returns:
          the head's outputs, as the task's `loss` and `metrics` take them.
        """
        weights = self.combination.row(name) if self.combination else None
        features = self.trunk(
            images,
            training=training,
            output_stride=self.tasks[name].output_stride,
            unit_weights=weights,
        )
        return self.heads[name](features, training=training)

    def objective(
        self, name: str, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Computes what a training step of one task minimises.

        Args:
          name: the task.
          examples: batched tensors from the input pipeline.
          seed: int32 [2], for the preprocessing on the device.

        Returns:
          (total, logs): the scalar loss including regularisation, and the scalars of
          `batch_scalars`, whose "loss" excludes regularisation.
        """
        task = self.tasks[name]
        images, targets = self._preprocess_training(task, examples, seed)
        view_seed = tf.random.fold_in(seed, 1)
        images, targets = task.random_views(images, targets, view_seed)
        outputs = self(name, images, training=True)
        loss = task.loss(outputs, targets)
        return loss + self.penalty(name), batch_scalars(task, loss, outputs, targets)

    def penalty(self, name: str) -> tf.Tensor:
        """Returns the weight decay of trunk and head plus the penalty on alpha."""
        terms = self.trunk.losses + self.heads[name].losses
        if self.combination:
            terms = [*terms, self.combination.penalty(name)]
        return tf.add_n(terms) if terms else tf.constant(0.0)

    def trained_variables(self, name: str) -> list[tf.Variable]:
        """Lists the variables that a step of a task updates: trunk, head, row of alpha."""
        variables = [
            *self.trunk.trainable_variables,
            *self.heads[name].trainable_variables,
        ]
        if self.combination:
            variables.append(self.combination.variable(name))
        return variables

    def statistics(self, name: str) -> list[tf.Variable]:
        """Lists the moving averages that a forward pass of a task updates."""
        return [
            *self.trunk.non_trainable_variables,
            *self.heads[name].non_trainable_variables,
        ]

    def build(
        self, name: str, examples: Mapping[str, tf.Tensor | tf.TensorSpec]
    ) -> tf.Graph:
        """Creates the variables of the trunk and of one task's head.

        Args:
          name: the task.
          examples: batched tensors of the task or their specs. Only shapes and dtypes
            are used.

        Returns:
          the graph of a forward pass of trunk and head on such a batch.
        """
        seed = tf.zeros([2], tf.int32)
        task = self.tasks[name]

        def preprocess(batch: dict[str, tf.Tensor]) -> tf.Tensor:
            return task.preprocess_batch(batch, seed)[0]

        def forward(images: tf.Tensor) -> tf.Tensor:
            return self(name, images, training=False)

        traced = tf.function(preprocess).get_concrete_function(tensor_specs(examples))
        images = traced.structured_outputs
        spec = tf.TensorSpec(images.shape, images.dtype)
        return tf.function(forward).get_concrete_function(spec).graph


def build_network(
    config: RunConfig, names: Iterable[str] | None = None
) -> MultiTaskNetwork:
    """Builds the network of a run; `MultiTaskNetwork.build` creates the heads' variables.

    Sets the global random seed, so that the network of a seed is always the same.

    Args:
      config: the configuration of the run.
      names: the tasks to build heads for; None for all tasks of the run.

    Raises:
      UserError: see `MultiTaskNetwork`.
    """
    # Dataset.shuffle accepts no tensor as its seed when the global seed is 0.
    keras.utils.set_random_seed(config.seed + 1)
    tasks = {
        name: task_registry.task_class(name)(config.tasks[name])
        for name in names or config.tasks
    }
    trunk = build_trunk(config.trunk)
    combination = None
    if config.lasso or config.group_lasso:
        combination = Combination(
            tuple(tasks),
            trunk.num_units,
            config.lasso,
            config.group_lasso,
            config.group_units,
        )
    return MultiTaskNetwork(tasks, trunk, combination, config.augment)


def batch_scalars(
    task: Task,
    loss: tf.Tensor,
    outputs: tf.Tensor,
    targets: dict[str, tf.Tensor],
) -> dict[str, tf.Tensor]:
    """Collects the scalars that are logged for a batch.

    Returns:
      float32 scalars: "loss", each metric by its name, and its chance level as
      "chance/METRIC" where the task knows the chance level.
    """
    return {
        "loss": loss,
        **task.metrics(outputs, targets),
        **{f"chance/{key}": value for key, value in task.chance(targets).items()},
    }


def example_specs(task: Task, batch_size: int) -> dict[str, tf.TensorSpec]:
    """Returns the specs of a batch of a task's examples, without reading a record."""

    def prepare(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        record = pipeline.parse(serialized, task.features)
        return task.preprocess_example(record, tf.zeros([2], tf.int32))

    examples = tf.data.Dataset.from_tensors("").map(prepare)
    return examples.batch(batch_size, drop_remainder=True).element_spec


def tensor_specs(
    examples: Mapping[str, tf.Tensor | tf.TensorSpec],
) -> dict[str, tf.TensorSpec]:
    """Returns the specs of tensors; leaves specs as they are."""
    return {
        key: tf.TensorSpec(value.shape, value.dtype) for key, value in examples.items()
    }


def _preprocess(
    task: Task, examples: dict[str, tf.Tensor], seed: tf.Tensor
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    return task.preprocess_batch(examples, seed)


def _check_output_stride(task: Task, trunk: Trunk) -> None:
    if task.output_stride not in trunk.output_strides:
        raise UserError(
            f"{task.name} reads features at output stride {task.output_stride}, which "
            f"trunks of kind {trunk.config.kind} do not have (they have "
            f"{', '.join(map(str, trunk.output_strides))})"
        )


def _check_units_can_be_combined(tasks: Mapping[str, Task], trunk: Trunk) -> None:
    for name, task in tasks.items():
        if task.output_stride not in trunk.combined_strides:
            raise SettingError(
                "lasso",
                f"{name} runs the trunk at output stride "
                f"{task.output_stride}. Only the last unit of the trunk has that stride, "
                f"so its units cannot be combined. Remove {name} from tasks, or "
                "set lasso and group_lasso to 0",
            )
