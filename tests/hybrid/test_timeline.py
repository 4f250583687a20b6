import dataclasses
import json

import numpy as np
import pytest
from mock_tasks import Network, workload

from selfsup.hybrid.group import Group
from selfsup.hybrid.timeline import KINDS, Clock, Recorder, read_clock

DEVICES = ["/CPU:1", "/CPU:2"]
WORKER = "/job:worker/replica:0/task:{}/device:CPU:0"
SERVER = "/job:ps/replica:0/task:0/device:CPU:0"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Returns a recorder and its file after 10 steps of two replicas, and the network."""
    path = tmp_path_factory.mktemp("timeline") / "trace.json"
    recorder = Recorder(3, str(path))
    network = Network(("a",))
    made = dataclasses.replace(workload(network, "a"), recorder=recorder)
    group = Group(made, devices=DEVICES)
    for _ in range(10):
        group.step()
    return recorder, json.loads(path.read_text()), network


def test_the_requested_number_of_steps_is_recorded_of_each_replica(recorded):
    recorder, _, _ = recorded
    replicas = [span for span in recorder.spans if span.device]
    for device in DEVICES:
        steps = [span for span in replicas if span.device == device]
        assert [span.kind for span in steps] == list(KINDS) * 3
        assert [span.step for span in steps[:: len(KINDS)]] == [5, 6, 7]
    assert recorder.is_done


def test_the_parts_of_a_step_add_up_to_it(recorded):
    recorder, _, _ = recorded
    for whole in (span for span in recorder.spans if span.kind == "step"):
        for device in DEVICES:
            parts = [
                span
                for span in recorder.spans
                if (span.device, span.step) == (device, whole.step)
            ]
            assert all(part.seconds >= 0 for part in parts)
            total = sum(part.seconds for part in parts)
            assert total == pytest.approx(whole.seconds, abs=1e-5)


def test_the_file_is_a_chrome_trace(recorded):
    recorder, trace, _ = recorded
    events = trace["traceEvents"]
    spans = [event for event in events if event["ph"] == "X"]
    assert len(spans) == len(recorder.spans)
    assert all({"name", "pid", "tid", "ts", "dur"} <= set(event) for event in spans)
    rows = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["ph"] == "M"}
    named = {rows[event["pid"], event["tid"]] for event in spans}
    assert named == {"group", *DEVICES}
    assert list(trace["otherData"]["clocks"]) == list(recorder.clocks)


def test_recorded_steps_compute_the_same_as_other_steps(recorded):
    expected = Network(("a",))
    group = Group(workload(expected, "a"), devices=DEVICES)
    for _ in range(10):
        group.step()
    for actual, expected_variable in zip(recorded[2].variables, expected.variables):
        np.testing.assert_array_equal(actual.numpy(), expected_variable.numpy())


def test_times_of_other_machines_are_converted_to_the_chiefs_clock():
    recorder = Recorder(1)
    ahead = {WORKER.format(0): 100.0, WORKER.format(1): -50.0, SERVER: 7.0}
    for host, seconds in ahead.items():
        recorder.clocks[host] = Clock(seconds, 0.001)
    times = {}
    # By the chief's clock: pulled at 2 and 3, arrived at 6 and 8.
    for index, (pulled, computed, arrived) in enumerate([(2, 5, 6), (3, 7, 8)]):
        host = WORKER.format(index)
        times_of_chief = {
            "began": 1,
            "fetched": 0,
            "pulled": pulled,
            "computed": computed,
        }
        own = {key: value + ahead[host] for key, value in times_of_chief.items()}
        times["a", host] = {**own, "arrived": {SERVER: arrived + 7.0}}
    key = ("a",)
    while not recorder.wants(key):
        pass
    recorder.wants(key)
    recorder.add(key, 4, 0.0, 10.0, times)
    seconds_of_span = {
        (span.device, span.kind): span.seconds for span in recorder.spans
    }
    expected = [(1, 1, 0, 3, 1, 2, 2), (1, 2, 0, 4, 1, 0, 2)]
    for index, seconds in enumerate(expected):
        actual = [seconds_of_span[WORKER.format(index), kind] for kind in KINDS]
        assert actual == pytest.approx(seconds)


def test_a_group_without_replicas_has_its_steps_recorded():
    recorder = Recorder(2)
    made = dataclasses.replace(workload(Network(("a",)), "a"), recorder=recorder)
    group = Group(made)
    for _ in range(10):
        group.step()
    assert [(span.kind, span.step) for span in recorder.spans] == [
        ("step", 5),
        ("step", 6),
    ]


def test_the_own_clock_is_not_ahead():
    clock = read_clock("/CPU:1")
    assert abs(clock.ahead) <= clock.uncertainty + 1e-6
