"""RMSProp with its own slots: one for each task (paper section 4)."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class RMSPropConfig:
    """Constants of the update, other than the learning rate, which is the task's.

    The update is TensorFlow's and Slim's, epsilon inside the root:

        ms  <- decay ms + (1 - decay) g^2
        mom <- momentum mom + learning_rate g / sqrt(ms + epsilon)
        w   <- w - mom

    Slots at zero make the first updates too long: 1 / sqrt(1 - decay) times the rate,
    before the momentum adds them up. So the rate rises from near zero in a straight
    line. That leaves the update independent of the loss's scale, which slots that start
    at ones do not: with these, the first updates go with the gradient itself.

    Attributes:
      decay: of the moving average of squared gradients.
      momentum: of the update.
      epsilon: small by default, so that multiplying a loss by a constant does not
        change the update, which is why the paper uses RMSProp.
      initial_square: what the moving average of squared gradients starts from.
      warmup_steps: first steps of a task, over which its learning rate rises to its
        full value; 0 for the full rate from the first step on.
    """

    decay: float = 0.9
    momentum: float = 0.9
    epsilon: float = 1e-16
    initial_square: float = 0.0
    warmup_steps: int = 20

    def warmup(self, number):
        """Factor of the learning rate at step `number`, counted from 0.

        Args:
          number: int, or an int32 scalar tensor.

        Returns:
          float32 scalar tensor, above 0 and at most 1.
        """
        if not self.warmup_steps:
            return tf.constant(1.0)
        return tf.minimum(1.0, tf.cast(number + 1, tf.float32) / self.warmup_steps)


# Slim's train_image_classifier defaults and TF1's slots, which start at ones.
# Those ones and that epsilon keep the first updates small; Slim has no warm-up.
SLIM = RMSPropConfig(
    decay=0.9, momentum=0.9, epsilon=1.0, initial_square=1.0, warmup_steps=0
)
NAMED = {"scale_invariant": RMSPropConfig(), "slim": SLIM}


class RMSProp(tf.Module):
    """RMSProp over fixed variables by TensorFlow's fused kernel.

    Keras's optimizers start their slots at zeros and do not let an epsilon inside the
    root be combined with that start, so Slim's update cannot be expressed with them.
    """

    def __init__(self, variables, config=None, name="rmsprop"):
        super().__init__(name=name)
        self.config = RMSPropConfig() if config is None else config
        self.mean_squares = _slots(variables, self.config.initial_square)
        self.momenta = _slots(variables, 0.0)

    def apply(self, variables, gradients, learning_rate, indices=None):
        """Updates `variables` in place.

        Args:
          variables: those given to the constructor, in the same order.
          gradients: a float32 tensor for each, or None for a variable that the loss
            does not depend on, which is left alone with its slots.
          learning_rate: scalar.
          indices: of the variables to update; None for all.
        """
        config = self.config
        for index in range(len(variables)) if indices is None else indices:
            if gradients[index] is None:
                continue
            tf.raw_ops.ResourceApplyRMSProp(
                var=variables[index].handle,
                ms=self.mean_squares[index].handle,
                mom=self.momenta[index].handle,
                lr=learning_rate,
                rho=config.decay,
                momentum=config.momentum,
                epsilon=config.epsilon,
                grad=gradients[index],
                # Other groups update the trunk at the same time.
                use_locking=True,
            )


def _slots(variables, value):
    """A variable of `value`s for each of `variables`, on its device."""
    slots = []
    for variable in variables:
        with tf.device(variable.device):
            slots.append(tf.Variable(tf.fill(variable.shape, value), trainable=False))
    return slots
