"""Runs serialized HLO modules with JAX's XLA."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax._src.lib import xla_client

from tests.benchmarks.accelerator.arguments import Array

# Field of an HloModuleProto that lets a step overwrite its arguments.
_INPUT_OUTPUT_ALIAS = 8
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Program:
    """A compiled module with its arguments on the device.

    Args:
      module: serialized HloModuleProto.
      values: the arguments.
      device: a JAX device.

    Attributes:
      accessed: bytes that the compiled operations read and write together by XLA's
        count; None where XLA does not count.
    """

    def __init__(self, module: bytes, values: Sequence[Array], device: Any) -> None:
        computation = xla_client.XlaComputation(_without(module, _INPUT_OUTPUT_ALIAS))
        self._check(computation, values)
        converted = xla_client._xla.mlir.xla_computation_to_mlir_module(computation)
        options = xla_client.CompileOptions()
        client = device.client
        if hasattr(client, "compile_and_load"):
            devices = xla_client._xla.DeviceList((device,))
            self._executable = client.compile_and_load(converted, devices, options)
        else:
            self._executable = client.compile(converted, options)
        self._arguments = [jax.device_put(value, device) for value in values]
        self.accessed = self._count("bytes accessed")

    def run(self) -> list[jax.Array]:
        """Takes a step; its results may still be under computation."""
        results = self._executable.execute_sharded(self._arguments)
        return [arrays[0] for arrays in results.disassemble_into_single_device_arrays()]

    def _count(self, key: str) -> float | None:
        try:
            counts = self._executable.cost_analysis()
        except (RuntimeError, NotImplementedError):
            return None
        counts = counts[0] if isinstance(counts, list) else counts
        return counts.get(key)

    @staticmethod
    def _check(computation: xla_client.XlaComputation, values: Sequence[Array]) -> None:
        """Raises ValueError unless the values fit the parameters."""
        shapes = computation.program_shape().parameter_shapes()
        expected = [(tuple(each.dimensions()), each.numpy_dtype()) for each in shapes]
        given = [(value.shape, value.dtype) for value in values]
        wrong = [
            f"{index}: {pair[1]} for {pair[0]}"
            for index, pair in enumerate(zip(expected, given))
            if pair[0] != pair[1]
        ]
        if wrong or len(expected) != len(given):
            raise ValueError(
                f"{len(given)} arguments for {len(expected)} parameters; {wrong[:3]}"
            )


def wait(results: list[jax.Array]) -> float:
    """Waits for the results of a step and returns the first, its loss."""
    jax.block_until_ready(results)
    return float(np.asarray(results[0]).astype(np.float32))


def _without(message: bytes, field: int) -> bytes:
    """A serialized protocol buffer without one of its fields.

    Without the alias of inputs and outputs the device keeps the arguments, so that a
    program can run several times.
    """
    return b"".join(
        message[start:end] for number, start, end in _fields(message) if number != field
    )


def _fields(message: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields (number, start, end) of each field of a protocol buffer."""
    start = 0
    while start < len(message):
        key, end = _varint(message, start)
        kind = key & 7
        if kind == _BYTES:
            size, end = _varint(message, end)
            end += size
        elif kind == _VARINT:
            _, end = _varint(message, end)
        else:
            end += {_FIXED64: 8, _FIXED32: 4}[kind]
        yield key >> 3, start, end
        start = end


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Returns (integer, index of the byte after it)."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
