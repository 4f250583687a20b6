import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))

from fork_server import ForkServer
from real_cluster import RealCluster


@pytest.fixture(scope="session")
def fork_server():
    made = ForkServer()
    yield made
    made.close()


@pytest.fixture
def start_cluster(fork_server, tmp_path):
    """A function that starts a `RealCluster`; all of them end with the test."""
    made = []

    def start(servers=1, workers=3):
        made.append(RealCluster(fork_server, tmp_path, servers, workers))
        return made[-1]

    yield start
    for cluster in made:
        cluster.close()
