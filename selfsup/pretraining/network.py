"""The multi-task network: one trunk, a head for each task (paper figure 1)."""

import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.trunk.resnet_v2 import OUTPUT_STRIDES


class MultiTaskNetwork(tf.Module):
    """A shared trunk with one head for each task, and the lasso where asked for.

    Without a combination layer every head receives the last unit of block 3 (figure 1a);
    with one, its own combination of block 3's unit outputs (figure 1b, equation 1).
    """

    def __init__(self, tasks, trunk, combination=None):
        """
        Args:
          tasks: dict of `Task` by name.
          trunk: a `trunk.resnet_v2.Trunk`.
          combination: a `combination.Combination` with a row for each task, or None.

        Raises:
          UserError: for a combination and a task whose stride has none, and for a head
            that is made for another trunk.
        """
        super().__init__(name="multitask")
        self.tasks = dict(tasks)
        self.trunk = trunk
        self.combination = combination
        if combination:
            _check_units_can_be_mixed(tasks)
        for task in tasks.values():
            task.check_channels(trunk.channels)
        policy = trunk.config.dtype_policy
        self.heads = {name: task.build_head(policy) for name, task in tasks.items()}

    def __call__(self, name, images, training):
        """Head outputs of task `name` for images float32 [N, h, w, 3] in [0, 1]."""
        weights = self.combination.row(name) if self.combination else None
        features = self.trunk(
            images,
            training=training,
            output_stride=self.tasks[name].output_stride,
            unit_weights=weights,
        )
        return self.heads[name](features, training=training)

    def objective(self, name, examples, seed):
        """What the task's step minimises, from a batch of its examples.

        Args:
          name: the task.
          examples: dict of batched tensors from the input pipeline.
          seed: int32 [2] of the on-device preprocessing.

        Returns:
          (total, logs): the scalar loss with regularisation, and a dict of scalars:
          "loss" without it, each metric, and "chance/METRIC" where it is known.
        """
        task = self.tasks[name]
        images, targets = task.preprocess_batch(examples, seed)
        outputs = self(name, images, training=True)
        loss = task.loss(outputs, targets)
        return loss + self.penalty(name), scalars(task, loss, outputs, targets)

    def penalty(self, name):
        """Weight decay of trunk and head, and the L1 norm of the task's alpha."""
        terms = self.trunk.losses + self.heads[name].losses
        if self.combination:
            terms = terms + [self.combination.penalty(name)]
        return tf.add_n(terms) if terms else tf.constant(0.0)

    def trained_variables(self, name):
        """Variables that a step of task `name` updates: trunk, head, its alpha row."""
        variables = self.trunk.trainable_variables
        variables = variables + self.heads[name].trainable_variables
        if self.combination:
            variables = [*variables, self.combination.variable(name)]
        return list(variables)

    def statistics(self, name):
        """Variables that a forward pass of `name` moves: BN's moving averages."""
        moved = self.trunk.non_trainable_variables
        return list(moved + self.heads[name].non_trainable_variables)

    def build(self, name, examples):
        """Creates the variables of trunk and of head `name` from one batch.

        Args:
          name: the task.
          examples: dict of batched tensors, or their `tf.TensorSpec`s: only shapes and
            dtypes count.

        Returns:
          the `tf.Graph` of trunk and head on that batch, in which `computation` counts.
        """
        seed = tf.zeros([2], tf.int32)
        task = self.tasks[name]

        def images_of(batch):
            return task.preprocess_batch(batch, seed)[0]

        def forward(images):
            return self(name, images, training=False)

        specs = tf.nest.map_structure(
            lambda one: tf.TensorSpec(one.shape, one.dtype), examples
        )
        images = tf.function(images_of).get_concrete_function(specs).structured_outputs
        spec = tf.TensorSpec(images.shape, images.dtype)
        return tf.function(forward).get_concrete_function(spec).graph


def _check_units_can_be_mixed(tasks):
    for name, task in tasks.items():
        if task.output_stride == OUTPUT_STRIDES[-1]:
            raise UserError(
                f"--lasso: {name} runs the trunk at stride {task.output_stride}, where "
                "the last unit alone has that stride, so units cannot be combined; "
                "leave it out of --tasks, or --lasso away"
            )


def scalars(task, loss, outputs, targets):
    """Loss, metrics and chance levels of a batch in one dict of scalars."""
    chance = task.chance(targets)
    return {
        "loss": loss,
        **task.metrics(outputs, targets),
        **{f"chance/{key}": value for key, value in chance.items()},
    }
