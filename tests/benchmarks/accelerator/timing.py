"""Times the steps of `tests.benchmarks.accelerator` with JAX, on the device that JAX has.

  python -m tests.benchmarks.accelerator.timing DIR [--rounds=7] [--seconds=1]

Needs JAX and NumPy only. First it compares each step's results with TensorFlow's, where
they are stored. Then all steps, a matrix product in each precision, and a copy take
turns. It prints images per second, and the step's share of the roofline: the time that
its arithmetic takes at the rate of the matrix product, or its memory traffic at the rate
of the copy, whichever is longer, divided by the measured time. The ratios compare phases
with dilation, and bfloat16 with float32 (TF32 on NVIDIA GPUs), in the same rounds.
--trace=DIR writes a profile of each step for TensorBoard or ui.perfetto.dev.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import time
from collections.abc import Iterator, Mapping

import jax
import jax.numpy as jnp

from tests.benchmarks import alternation
from tests.benchmarks.accelerator import hlo
from tests.benchmarks.accelerator.arguments import (
    Step,
    digest,
    largest_difference,
    read,
)
from tests.benchmarks.alternation import InProcess, Rounds
from tests.benchmarks.table import Table

# Relative to the root mean square of each result; the order of sums differs, and TF32
# and bfloat16 have 10 and 7 bits of mantissa.
_TOLERANCES = {"float32": 2e-2, "bfloat16": 2e-1}
_COPY = "copy"
_DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def main() -> int:
    """Compares and times; returns 1 if results differ from TensorFlow's."""
    flags = _parse()
    device = jax.devices()[0]
    memory = (device.memory_stats() or {}).get("bytes_limit", 0) / 2**30
    print(
        f"{device.device_kind} ({device.platform}), {memory:.0f} GiB; JAX {jax.__version__}"
    )
    steps: dict[str, Step] = {}
    programs: dict[str, hlo.Program] = {}
    differing = 0
    table = Table("step", "compiled in s", "loss", "largest difference from TensorFlow")
    for path in sorted(pathlib.Path(flags.folder).glob("*.json")):
        start = time.perf_counter()
        step, module, values = read(path)
        program = hlo.Program(module, values, device)
        results = program.run()
        loss = hlo.wait(results)
        seconds = time.perf_counter() - start
        difference, text = _compare(step, results)
        differing += difference > _TOLERANCES[step.precision]
        table.add(step.name, f"{seconds:.1f}", f"{loss:.6g}", text)
        steps[step.name], programs[step.name] = step, program
    if not steps:
        sys.exit(f"{flags.folder}: no steps; python -m tests.benchmarks.accelerator")
    references = dict(_references(flags.size))
    contestants = {
        **{name: InProcess(each.run, hlo.wait) for name, each in programs.items()},
        **{name: each for name, (each, _) in references.items()},
    }
    rounds = alternation.measure(contestants, flags.rounds, flags.seconds)
    work = {name: amount for name, (_, amount) in references.items()}
    _print_times(steps, programs, rounds, work)
    _print_ratios(steps, rounds)
    if flags.trace:
        for name, program in programs.items():
            with jax.profiler.trace(str(pathlib.Path(flags.trace) / name)):
                hlo.wait(program.run())
    return 1 if differing else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="what tests.benchmarks.accelerator wrote")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of measurements")
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="of a step in a round"
    )
    parser.add_argument(
        "--size", type=int, default=0, help="side of the matrices; 0 by the device"
    )
    parser.add_argument("--trace", help="folder for profiles")
    return parser.parse_args()


def _compare(step: Step, results: list[jax.Array]) -> tuple[float, str]:
    """Returns the largest relative difference from TensorFlow's results, and its text."""
    if step.digests is None:
        return 0.0, "not stored"
    if len(results) != len(step.outputs):
        return float("inf"), f"{len(results)} results for {len(step.outputs)}"
    difference, worst = largest_difference(
        [digest(jnp.asarray(each, jnp.float32)) for each in results], step.digests
    )
    verdict = "" if difference <= _TOLERANCES[step.precision] else ": DIFFERS"
    return difference, f"{difference:.1e} ({step.outputs[worst]}){verdict}"


def _references(size: int) -> Iterator[tuple[str, tuple[InProcess, float]]]:
    """Yields what the roofline is made of: (name, (contestant, operations or bytes))."""
    on_cpu = jax.default_backend() == "cpu"
    side = size or (1024 if on_cpu else 8192)
    for name, dtype in _DTYPES.items():
        matrix = jnp.full((side, side), 0.5, dtype)
        product = jax.jit(lambda a: a @ a)
        yield (
            name,
            (_contestant(product, matrix), 2.0 * side**3),
        )
    values = jnp.zeros((2**26 if on_cpu else 2**29,), jnp.float32)
    copy = jax.jit(lambda a: a + 1.0)
    yield _COPY, (_contestant(copy, values), 2.0 * values.nbytes)


def _contestant(function: jax.stages.Wrapped, argument: jax.Array) -> InProcess:
    return InProcess(lambda: function(argument), jax.block_until_ready)


def _print_times(
    steps: Mapping[str, Step],
    programs: Mapping[str, hlo.Program],
    rounds: Rounds,
    work: Mapping[str, float],
) -> None:
    rates = {name: amount / rounds.elapsed(name) for name, amount in work.items()}
    print(
        "\nMatrix product: "
        + ", ".join(f"{rates[name] / 1e12:.2f} TFLOP/s in {name}" for name in _DTYPES)
        + f"; memory: {rates[_COPY] / 1e9:.0f} GB/s\n"
    )
    table = Table(
        "step",
        "ms",
        "images/s",
        "TFLOP/s",
        "ms by arithmetic",
        "ms by memory",
        "share of the roofline",
    )
    for name, step in steps.items():
        seconds = rounds.elapsed(name)
        arithmetic = step.operations / rates[step.precision]
        memory = (programs[name].accessed or 0.0) / rates[_COPY]
        table.add(
            name,
            f"{1e3 * seconds:.2f}",
            f"{step.images / seconds:.1f}",
            f"{step.operations / seconds / 1e12:.2f}",
            f"{1e3 * arithmetic:.2f}",
            f"{1e3 * memory:.2f}",
            f"{max(arithmetic, memory) / seconds:.2f}",
        )
    for note in sorted({f"{n.split('-')[0]}: {s.note}" for n, s in steps.items()}):
        print(note)


def _print_ratios(steps: Mapping[str, Step], rounds: Rounds) -> None:
    """Prints how many times as fast phases and bfloat16 are."""
    print()
    table = Table("compared", "times as fast (quartiles)")
    for old, new in (("-dilated-", "-phases-"), ("-float32-", "-bfloat16-")):
        for name in steps:
            other = name.replace(old, new)
            if old in name and other in steps:
                table.add(f"{other} to {name}", str(rounds.ratio(name, other)))


if __name__ == "__main__":
    sys.exit(main())
