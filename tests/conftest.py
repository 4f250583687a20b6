import os
import signal
import sys

import pytest

# TensorFlow's start-up notices.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Shells have jobs in the background ignore it, and tests interrupt their children.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Support modules shared by tests of several folders.
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "support"))


def pytest_configure():
    """Four CPUs, as TensorFlow sees it: the loop's tests train on several devices."""
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    devices = [tf.config.LogicalDeviceConfiguration()] * 4
    tf.config.set_logical_device_configuration(cpu, devices)


@pytest.fixture(autouse=True)
def own_global_seed():
    """Leaves no test's global seed to the next: `Dataset.shuffle` cannot do with 0."""
    yield
    import tensorflow as tf

    tf.random.set_seed(None)
