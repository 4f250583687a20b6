"""The Kubeflow manifest: its form, and the environment that the operator makes of it."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import pytest
import yaml

from selfsup.common.errors import UserError
from selfsup.hybrid import assignment
from selfsup.hybrid.cluster import loopback, tf_config
from selfsup.pretraining import configuration, presets

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SCHEMA = pathlib.Path(__file__).with_name("tfjob_v1_schema.json")
# Each resource in the order of the file.
JOB, POLICY = yaml.safe_load_all((ROOT / "launch/recipes/tfjob.yaml").read_text())
REPLICAS = JOB["spec"]["tfReplicaSpecs"]
MODULES = {
    "Chief": "launch.pretrain",
    "PS": "launch.server",
    "Worker": "launch.server",
}

_PARSE = """
import importlib, json, sys
from absl import flags
importlib.import_module(sys.argv[1])
flags.FLAGS(sys.argv[1:])
print(json.dumps({name: flags.FLAGS[name].value for name in sys.argv[0].split()}))
"""


def _container(role):
    (one,) = REPLICAS[role]["template"]["spec"]["containers"]
    return one


def _tf_config(role, index, namespace="vision"):
    """As genTFConfigJSONStr of the operator's tensorflow.go makes it."""
    hosts = {
        name.lower(): [
            f"{JOB['metadata']['name']}-{name.lower()}-{i}.{namespace}.svc:"
            f"{_port(_container(name))}"
            for i in range(spec["replicas"])
        ]
        for name, spec in REPLICAS.items()
    }
    task = {"type": role.lower(), "index": index}
    return json.dumps({"cluster": hosts, "task": task, "environment": "cloud"})


def _port(container):
    (port,) = [p for p in container["ports"] if p["name"] == "tfjob-port"]
    return port["containerPort"]


def _flags(module, arguments):
    """Values by name of what a main understands of its arguments; fails as it does."""
    names = [one.lstrip("-").split("=")[0] for one in arguments]
    script = f"import sys; sys.argv[0] = {' '.join(names)!r}{_PARSE}"
    done = subprocess.run(
        [sys.executable, "-c", script, module, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(
    importlib.util.find_spec("jsonschema") is None, reason="needs jsonschema"
)
def test_the_manifest_fits_the_resource_definition():
    import jsonschema

    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))
    assert not [error.message for error in validator.iter_errors(JOB)]
    # It does refuse what the operator would.
    wrong = json.loads(json.dumps(JOB))
    wrong["spec"]["tfReplicaSpecs"]["Worker"]["restartPolicy"] = "Sometimes"
    wrong["spec"]["tfReplicaSpecs"]["PS"]["template"]["spec"]["containers"][0][
        "name"
    ] = "server"
    assert len(list(validator.iter_errors(wrong))) == 2


def test_the_operators_environment_gives_each_pod_its_role():
    for role, spec in REPLICAS.items():
        for index in range(spec["replicas"]):
            found = tf_config.parse(_tf_config(role, index))
            assert (found.job, found.index) == (role.lower(), index)
            assert found.address == f"selfsup-{role.lower()}-{index}.vision.svc:2222"
            assert len(found.devices("worker", "GPU")) == REPLICAS["Worker"]["replicas"]
            loopback.check(found, "network")
            with pytest.raises(UserError, match="listen=network"):
                loopback.check(found, "loopback")


@pytest.mark.parametrize("role", MODULES)
def test_each_pod_runs_a_main_with_flags_that_it_has(role):
    container = _container(role)
    assert container["command"] == ["python", "-m", MODULES[role]]
    values = _flags(MODULES[role], container["args"])
    assert values["listen"] == "network"
    mounts = {one["name"] for one in container.get("volumeMounts", ())}
    pod = REPLICAS[role]["template"]["spec"]
    assert mounts == {one["name"] for one in pod.get("volumes", ())}
    # Parameter servers need no disk: checkpoints are written by the chief.
    assert mounts == {"Chief": {"data", "runs"}, "PS": set(), "Worker": {"data"}}[role]


def test_the_chiefs_groups_are_met_by_the_workers():
    values = _flags("launch.pretrain", _container("Chief")["args"])
    config = configuration.resolve(values["preset"], presets.DEFAULT_TASKS)
    found = tf_config.parse(_tf_config("Chief", 0))
    made = assignment.assign(
        config.tasks,
        found.devices("worker", "GPU"),
        found.devices("ps"),
        assignment.parse_request(values["groups"]),
    )
    used = [device for devices in made.groups.values() for device in devices]
    assert sorted(used) == sorted(found.devices("worker", "GPU"))


def test_the_network_policy_is_about_the_jobs_pods_and_port():
    labels = {"training.kubeflow.org/job-name": JOB["metadata"]["name"]}
    assert POLICY["apiVersion"] == "networking.k8s.io/v1"
    spec = POLICY["spec"]
    assert spec["podSelector"]["matchLabels"] == labels
    assert spec["policyTypes"] == ["Ingress"]
    (rule,) = spec["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": labels}}]
    assert rule["ports"] == [{"protocol": "TCP", "port": _port(_container("PS"))}]
