"""This machine's processor: its cores, and what its instructions can do."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Collection

# Dot products in bfloat16: of AMD and Intel, of Intel's matrix units, of Arm.
_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")
_CPU_INFO = "/proc/cpuinfo"


def cores() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def flags(cpu_info: str = _CPU_INFO) -> frozenset[str] | None:
    """Returns the names of the instruction sets, as Linux calls them.

    Args:
      cpu_info: the file in which Linux lists them.

    Returns:
      the names; None on systems without this file, or where it has no such line.
    """
    try:
        lines = pathlib.Path(cpu_info).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip().lower() in ("flags", "features"):
            return frozenset(value.split())
    return None


def has_bfloat16(instruction_sets: Collection[str] | None) -> bool:
    """Whether a processor computes products in bfloat16.

    Args:
      instruction_sets: result of `flags`; None, what is not known, counts as no.
    """
    return not set(instruction_sets or ()).isdisjoint(_BFLOAT16)


def bfloat16_note(instruction_sets: Collection[str] | None) -> str | None:
    """Returns what to tell the user of mixed precision on this processor.

    Args:
      instruction_sets: result of `flags`.

    Returns:
      None if there is nothing to say: bfloat16 is fast, or it is not known.
    """
    if instruction_sets is None or has_bfloat16(instruction_sets):
        return None
    return (
        "mixed_precision: this processor has no bfloat16 instructions (avx512_bf16 or "
        "amx_bf16), so that bfloat16 is slower here than float32; continuing in bfloat16. "
        "Leave mixed precision out unless memory is too small for float32"
    )
