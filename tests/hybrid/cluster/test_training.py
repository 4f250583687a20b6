"""Training on real server processes."""

import mock_tasks
import numpy as np
from real_cluster import STARTED, summary


def test_two_workers_on_halves_equal_one_on_the_whole(start_cluster):
    """With the variables spread over two servers, slots beside them."""
    cluster = start_cluster(servers=2, workers=2)
    result = summary(cluster.chief({"a": [0, 1]}, limits={"a": 60}), STARTED)
    network = mock_tasks.Network(("a",))
    group = mock_tasks.groups(network)["a"]
    for _ in range(60):
        group.step()
    np.testing.assert_allclose(result["shared"], network.shared.numpy(), rtol=1e-4)
    assert result["last"]["a"] < 0.9 * result["first"]["a"]
    assert {place.split("/device")[0] for place in result["places"]} == {
        "/job:ps/replica:0/task:0",
        "/job:ps/replica:0/task:1",
    }
    assert (
        result["slots"] == [result["places"][-1]]
        or result["slots"][0] in result["places"]
    )


def test_counters_add_up_over_two_groups(start_cluster):
    cluster = start_cluster(workers=3)
    limits = {"a": 40, "bb": 70}
    result = summary(cluster.chief({"a": [0, 1], "bb": [2]}, limits=limits), STARTED)
    assert result["steps"] == result["accepted_steps"] == limits
    assert result["generations"] == {"a": 0, "bb": 0}
