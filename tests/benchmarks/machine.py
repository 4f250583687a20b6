"""Describes the machine that a benchmark ran on."""

from __future__ import annotations

import os
import pathlib
import platform
from collections.abc import Iterable

from selfsup.common import processor, versions


def describe(packages: Iterable[str]) -> str:
    """Returns a line on the processor, its load, and the versions of packages.

    Args:
      packages: names of packages; those that are not installed are left out.
    """
    bfloat16 = "with" if processor.has_bfloat16(processor.flags()) else "without"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    installed = ", ".join(f"{k} {v}" for k, v in versions.installed(packages).items())
    return (
        f"{_model()}, {processor.cores()} cores, {bfloat16} bfloat16 instructions, "
        f"{memory:.0f} GiB, {platform.system()}; load {os.getloadavg()[0]:.1f}; {installed}"
    )


def _model() -> str:
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
