"""The trunk against plain dilation, TF-Slim, timm, and the rate of a matrix product."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterator
from typing import Callable

import numpy as np
import tensorflow as tf

from selfsup.pretraining import configuration, multiply_adds
from selfsup.trunk import build_trunk
from selfsup.trunk.trunk import Trunk, TrunkConfig
from tests.benchmarks import alternation
from tests.benchmarks.alternation import Contestant, InProcess, OtherProcess
from tests.benchmarks.suites.options import Options
from tests.benchmarks.table import Table

OURS, DILATED, BFLOAT16, SLIM, TIMM = "ours", "dilated", "bfloat16", "TF-Slim", "timm"
_PRODUCT = "matrix product"
_SIDE = 2048
_FORWARD, _TRAINING = 1, 3


def print_table(options: Options) -> None:
    """Prints how many times as long the others take as the trunk."""
    config = configuration.resolve(options.preset, ["colorization"]).trunk
    print(
        f"ResNet-v2 {config.depth} to block 3 at output stride 8. How many times as long "
        "the others take (quartiles), and the share of the rate of a "
        f"{_SIDE}x{_SIDE} matrix product in the same rounds."
    )
    table = Table(
        "step", "input", "contestant", "ms", "elapsed", "processor", "share of the peak"
    )
    for training in (True, False):
        for batch, size in options.sizes:
            with contextlib.ExitStack() as stack:
                _print_rows(table, config, training, batch, size, options, stack)


def _print_rows(
    table: Table,
    config: TrunkConfig,
    training: bool,
    batch: int,
    size: int,
    options: Options,
    stack: contextlib.ExitStack,
) -> None:
    images = np.random.default_rng(0).random((batch, size, size, 3), np.float32)
    contestants: dict[str, Contestant] = {}
    variants = {OURS: config, DILATED: dataclasses.replace(config, phases=False)}
    if options.bfloat16:
        variants[BFLOAT16] = dataclasses.replace(config, mixed_precision=True)
    for name, variant in variants.items():
        contestants[name] = contestant(build_trunk(variant), images, training)
    for name, process in _peers(config, training, batch, size, options):
        contestants[name] = stack.enter_context(process)
    contestants[_PRODUCT] = _product()
    rounds = alternation.measure(contestants, options.rounds, options.seconds)
    work = 2.0 * (_TRAINING if training else _FORWARD) * _multiply_adds(config, images)
    for name in contestants:
        if name == _PRODUCT:
            continue
        # Rate of the step relative to that of the product.
        share = rounds.ratio(_PRODUCT, name).median * work / (2.0 * _SIDE**3)
        table.add(
            "training" if training else "inference",
            f"{batch} of {size}x{size}",
            name,
            f"{1e3 * rounds.elapsed(name):.0f}",
            str(rounds.ratio(name, OURS)),
            str(rounds.processor_ratio(name, OURS)),
            f"{share:.2f}",
        )


def contestant(trunk: Trunk, images: np.ndarray, training: bool) -> InProcess:
    """Returns steps of a trunk: a forward pass, and in training the gradients, too.

    Args:
      trunk: the trunk.
      images: float32 [B, H, W, 3] in [0, 1].
      training: whether to compute the gradients of the mean square of the features.
    """
    given = tf.constant(images)

    @tf.function(autograph=False)
    def infer(batch: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.square(trunk(batch, training=False)))

    @tf.function(autograph=False)
    def train(batch: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(trunk(batch, training=True)))
        return loss, tape.gradient(loss, trunk.trainable_variables)

    step: Callable[[tf.Tensor], object] = train if training else infer
    return InProcess(lambda: step(given), _wait)


def _wait(result: object) -> None:
    """Waits until TensorFlow has computed the tensors."""
    tf.nest.flatten(result)[0].numpy()


def _peers(
    config: TrunkConfig, training: bool, batch: int, size: int, options: Options
) -> Iterator[tuple[str, OtherProcess]]:
    """Yields the programs that compute the same network; they have depth 101 only."""
    if config.depth != "101":
        return
    arguments = [f"--batch={batch}", f"--size={size}", *["--training"] * training]
    for name, python, module in (
        (SLIM, sys.executable, "slim_trunk"),
        (TIMM, options.peers, "timm_trunk"),
    ):
        if python is not None:
            command = [python, "-m", f"tests.benchmarks.peers.{module}", *arguments]
            yield name, OtherProcess(command)


def _product() -> InProcess:
    matrix = tf.random.stateless_uniform([_SIDE, _SIDE], [1, 2])
    product = tf.function(lambda: tf.reduce_mean(matrix @ matrix), autograph=False)
    return InProcess(product, _wait)


def _multiply_adds(config: TrunkConfig, images: np.ndarray) -> int:
    trunk = build_trunk(config)
    spec = tf.TensorSpec(images.shape, tf.float32)
    function = tf.function(lambda batch: trunk(batch), autograph=False)
    return multiply_adds.count(function.get_concrete_function(spec).graph)
