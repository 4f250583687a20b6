"""Builds on a full disk and on a read-only disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import faulty_inputs
import pytest

# A small file system, in a mount namespace of its own.
_MOUNT = "mount -t tmpfs -o size=128k tmpfs"
_CAN_MOUNT = (
    shutil.which("unshare") is not None
    and subprocess.run(
        ["unshare", "-rm", "sh", "-c", f"{_MOUNT} /mnt"], capture_output=True
    ).returncode
    == 0
)


@pytest.mark.skipif(not _CAN_MOUNT, reason="the system allows no mount")
def test_builds_resume_after_full_and_read_only_disks(tmp_path):
    build = f"{sys.executable} {faulty_inputs.__file__} {tmp_path}/disk/out 0"
    script = f"""
mkdir {tmp_path}/disk
{_MOUNT} {tmp_path}/disk
mkdir {tmp_path}/disk/out
head -c 100k /dev/zero > {tmp_path}/disk/ballast
{build}; echo "ended with $?"
rm {tmp_path}/disk/ballast
mount -o remount,ro {tmp_path}/disk
{build}; echo "ended with $?"
mount -o remount,rw,size=10m {tmp_path}/disk
{build}; echo "ended with $?"
cp -r {tmp_path}/disk/out {tmp_path}/saved
"""
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    full, read_only, whole, _ = done.stdout.split("ended with")
    assert "Traceback" not in done.stdout
    assert "No space left on device" in full or "disk is full" in full
    assert "run the same command again" in full
    assert read_only.startswith(" 1") and "Read-only file system" in read_only
    assert whole.startswith(" 1") and done.stdout.rstrip().endswith("ended with 0")

    faulty_inputs.build(tmp_path / "reference")
    for reference in (tmp_path / "reference").glob("*.tfrecord"):
        assert (
            tmp_path / "saved" / reference.name
        ).read_bytes() == reference.read_bytes()
