"""The details of lost devices go to a file, not to the terminal."""

import sys
import types

import pytest
import tensorflow as tf
from tensorflow.python.eager.executor import Executor

from selfsup.hybrid import executors, lost_device_log


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "lost_devices.log"
    lost_device_log.keep_in(str(path))
    yield path
    lost_device_log.keep_in("/dev/null")


def _unraisable(function, error):
    return types.SimpleNamespace(object=function, exc_value=error)


def test_a_deleted_executors_error_goes_to_the_log(log, monkeypatch, capfd):
    others = []
    monkeypatch.setattr(sys, "unraisablehook", others.append)
    executors.log_errors_of_deleted_executors()
    executors.log_errors_of_deleted_executors()
    error = tf.errors.UnavailableError(None, None, "Socket closed")
    sys.unraisablehook(_unraisable(Executor.__del__, error))
    assert "left undone on a lost device: Socket closed" in log.read_text()
    assert others == []
    other = _unraisable(print, ValueError("mine"))
    sys.unraisablehook(other)
    assert others == [other]
    assert capfd.readouterr() == ("", "")


def test_the_file_is_created_with_the_first_text(log, capfd):
    assert lost_device_log.path() == str(log)
    assert not log.exists()
    lost_device_log.write("worker 1 is gone\nand why")
    assert "worker 1 is gone\nand why\n" in log.read_text()
    assert capfd.readouterr() == ("", "")
