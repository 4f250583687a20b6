"""Arguments of a compiled step, which both programs make by the same rules.

A step has hundreds of megabytes of variables. Their values follow from their description,
so that only the description travels to the machine with the accelerator.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
# The summary of an output: root of the mean square, and projection on random signs.
Digest = tuple[float, float]
# The values of one argument that is stored, by its index.
Stored = Mapping[int, Array]

# Outputs smaller than this share of the median output count as this large.
_FLOOR = 1e-2

NORMAL, UNIFORM, CONSTANT, STORED = "normal", "uniform", "constant", "stored"


@dataclasses.dataclass(frozen=True)
class Argument:
    """An argument of a step.

    Attributes:
      name: of the variable, or of the input.
      shape: its shape.
      dtype: name of its NumPy dtype.
      kind: NORMAL with mean 0, UNIFORM, CONSTANT, or STORED beside the step.
      low: lower bound; the value of a CONSTANT.
      high: upper bound; the deviation of a NORMAL.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    kind: str
    low: float = 0.0
    high: float = 0.0

    def value(self, index: int, stored: Stored) -> Array:
        """Returns the value.

        Args:
          index: index of the argument, by which the random numbers differ.
          stored: the values that are stored.
        """
        if self.kind == STORED:
            return stored[index]
        random = np.random.default_rng([index, zlib.crc32(self.name.encode())])
        if self.kind == NORMAL:
            values = random.standard_normal(self.shape, np.float32) * self.high
        elif self.kind == UNIFORM:
            spread = self.high - self.low
            values = self.low + spread * random.random(self.shape, np.float32)
        else:
            values = np.full(self.shape, self.low)
        return np.asarray(values).astype(self.dtype)


@dataclasses.dataclass(frozen=True)
class Step:
    """A compiled step and what is known of it.

    Attributes:
      name: of its files.
      images: images that a step takes.
      multiply_adds: of the forward pass of trunk and head, for all images together.
      precision: "float32" or "bfloat16".
      arguments: in the order of the program's parameters.
      outputs: names of the program's results, in their order; the loss is the first.
      digests: TensorFlow's results, or None if they were not computed.
      note: what the step leaves out.
    """

    name: str
    images: int
    multiply_adds: int
    precision: str
    arguments: Sequence[Argument]
    outputs: Sequence[str]
    digests: Sequence[Digest] | None
    note: str = ""

    @property
    def operations(self) -> float:
        """Floating-point operations; a backward pass has twice those of the forward."""
        return 2.0 * 3.0 * self.multiply_adds

    def write(self, folder: pathlib.Path, program: bytes, stored: Stored) -> None:
        """Writes NAME.hlo, NAME.npz and, last, NAME.json."""
        (folder / f"{self.name}.hlo").write_bytes(program)
        np.savez_compressed(
            folder / f"{self.name}.npz", **{str(key): v for key, v in stored.items()}
        )
        text = json.dumps(dataclasses.asdict(self))
        (folder / f"{self.name}.json").write_text(text, encoding="utf-8")


def read(path: pathlib.Path) -> tuple[Step, bytes, list[Array]]:
    """Reads a step.

    Args:
      path: the JSON file.

    Returns:
      (step, serialized HLO module, values of the arguments).
    """
    fields = json.loads(path.read_text(encoding="utf-8"))
    fields["arguments"] = [
        Argument(**{**each, "shape": tuple(each["shape"])})
        for each in fields["arguments"]
    ]
    step = Step(**fields)
    with np.load(path.with_suffix(".npz")) as file:
        stored = {int(key): file[key] for key in file.files}
    values = [each.value(i, stored) for i, each in enumerate(step.arguments)]
    return step, path.with_suffix(".hlo").read_bytes(), values


def digest(values: npt.ArrayLike) -> Digest:
    """Summarises an output, so that a wrong element changes the summary.

    Returns:
      (root of the mean square; projection on random signs, divided by the root of the
      number of elements, which has about the same size).
    """
    flat = np.asarray(values, np.float32).ravel()
    signs = np.random.default_rng(flat.size).integers(0, 2, flat.size) * 2 - 1
    square = float(np.mean(np.square(flat, dtype=np.float64))) if flat.size else 0.0
    projection = float(np.sum(flat * signs, dtype=np.float64))
    return square**0.5, projection / max(flat.size, 1) ** 0.5


def largest_difference(
    digests: Sequence[Digest], expected: Sequence[Sequence[float]]
) -> tuple[float, int]:
    """Compares digests.

    The gradient of a bias whose sum is normalised is nothing but rounding errors. So the
    difference is relative to at least a small share of the usual size of an output.

    Returns:
      (the largest difference relative to the expected mean square root, index of that
      output).
    """
    usual = float(np.median([square for square, _ in expected]))
    differences = [
        max(abs(a - b) for a, b in zip(*pair)) / max(pair[1][0], _FLOOR * usual, 1e-12)
        for pair in zip(digests, expected)
    ]
    worst = int(np.argmax(differences))
    return differences[worst], worst
