"""RMSProp whose slots belong to one task (paper section 4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class RMSPropConfig:
    """Constants of the RMSProp update, without the learning rate.

    The update is that of TensorFlow and Slim, with epsilon inside the root:

        ms  <- decay ms + (1 - decay) g^2
        mom <- momentum mom + learning_rate g / sqrt(ms + epsilon)
        w   <- w - mom

    If `ms` starts at zero, the first updates are too long: 1 / sqrt(1 - decay) times the
    learning rate, before momentum adds them up. So the learning rate rises linearly from
    near zero. The update then does not depend on the scale of the loss. If `ms` starts
    at one, as in Slim, the first updates are proportional to the gradient.

    Attributes:
      decay: decay of the moving average of squared gradients.
      momentum: decay of the momentum.
      epsilon: added to the moving average. Small by default, so that multiplying a loss
        by a constant does not change the update, which is why the paper uses RMSProp.
      initial_square: initial value of the moving average of squared gradients.
      warmup_steps: number of first steps over which the learning rate of a task rises to
        its full value; 0 for the full rate from the first step on.
    """

    decay: float = 0.9
    momentum: float = 0.9
    epsilon: float = 1e-16
    initial_square: float = 0.0
    warmup_steps: int = 20

    def warmup(self, number: int | tf.Tensor) -> tf.Tensor:
        """Returns the factor of the learning rate at step `number`, counted from 0.

        Args:
          number: int, or an int32 scalar tensor.

        Returns:
          float32 scalar tensor, above 0 and at most 1.
        """
        if not self.warmup_steps:
            return tf.constant(1.0)
        return tf.minimum(1.0, tf.cast(number + 1, tf.float32) / self.warmup_steps)


# The defaults of Slim's train_image_classifier, and the slots of TensorFlow 1, which
# start at one. These and the large epsilon keep the first updates small, so Slim needs
# no warm-up.
SLIM = RMSPropConfig(
    decay=0.9, momentum=0.9, epsilon=1.0, initial_square=1.0, warmup_steps=0
)
NAMED = {"scale_invariant": RMSPropConfig(), "slim": SLIM}


class RMSProp(tf.Module):
    """RMSProp over fixed variables, by TensorFlow's fused kernel.

    The optimizers of Keras start their slots at zero and add epsilon outside the root,
    so they cannot compute Slim's update.

    Attributes:
      config: the constants.
      mean_squares: the moving average of squared gradients for each variable.
      momenta: the momentum for each variable; it is what the last update subtracted.
    """

    def __init__(
        self,
        variables: Sequence[tf.Variable],
        config: RMSPropConfig | None = None,
        name: str = "rmsprop",
    ) -> None:
        """Makes slots for `variables`, on their devices.

        Args:
          variables: float32 variables.
          config: the constants; the default configuration if None.
          name: name of the module.
        """
        super().__init__(name=name)
        self.config = RMSPropConfig() if config is None else config
        self.mean_squares = _slots(variables, self.config.initial_square)
        self.momenta = _slots(variables, 0.0)

    def apply(
        self,
        variables: Sequence[tf.Variable],
        gradients: Sequence[tf.Tensor | None],
        learning_rate: float | tf.Tensor,
        indices: Iterable[int] | None = None,
    ) -> None:
        """Updates `variables` in place.

        Args:
          variables: the variables given to the constructor, in the same order.
          gradients: for each variable a float32 tensor of its shape, or None if the loss
            does not depend on it: the variable and its slots then do not change.
          learning_rate: scalar.
          indices: indices of the variables to update; all variables if None.
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


def _slots(variables: Sequence[tf.Variable], value: float) -> list[tf.Variable]:
    """Makes a variable filled with `value` for each variable, on its device."""
    slots = []
    for variable in variables:
        with tf.device(variable.device):
            slots.append(tf.Variable(tf.fill(variable.shape, value), trainable=False))
    return slots
