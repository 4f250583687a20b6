"""Dynamic weights of tasks: against loops, scale invariance, and through the engines."""

from __future__ import annotations

import math
import pathlib

import mock_tasks
import numpy as np
import pytest
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals
from selfsup.hybrid.checkpoint import CheckpointStore
from selfsup.pretraining import weighting
from selfsup.pretraining.weighting import gradnorm, uncertainty
from selfsup.pretraining.weighting.weighting import INITIAL_STEPS, StepReport

TASKS = ("a", "b", "c")
METHODS = sorted(weighting.REGISTRY)
# By task: the loss after n steps, and the norm of the trunk's update at rate 1.
LOSSES = {
    "a": lambda n: 4.0 * 0.99**n,
    "b": lambda n: 0.7 + 0.1 * math.sin(n),
    "c": lambda n: 2.0 + 30.0 * (n == 77),
}
NORMS = {"a": 3.0, "b": 1.0, "c": 5.0}


def _reports(steps, scale=1.0, tasks=TASKS, start=0):
    """(task, report) of tasks in turn; `scale` multiplies the losses of the first."""
    for number in range(start, steps):
        for task in tasks:
            loss = LOSSES[task](number) * (scale if task == tasks[0] else 1.0)
            rate = 1e-3 * (1 + number % 3)
            yield task, StepReport(loss, rate, lambda t=task, r=rate: NORMS[t] * r)


def _factors(method, reports):
    """The factors after each report."""
    made = weighting.build(method, TASKS)
    history = []
    for task, report in reports:
        made.observe(task, report)
        history.append([made.factor(name) for name in TASKS])
    return np.array(history)


def _last_factors(method, steps):
    made = weighting.build(method, TASKS)
    for task, report in _reports(steps):
        made.observe(task, report)
    return np.array([made.factor(name) for name in TASKS])


def _change_after_the_beginning(monkeypatch, losses):
    """All losses are 1 in the initial steps, and constant from then on."""
    for task, loss in zip(TASKS, losses):
        values = [1.0, loss]
        monkeypatch.setitem(LOSSES, task, lambda n, v=values: v[n >= INITIAL_STEPS])


def _initial_losses():
    return {
        task: sum(LOSSES[task](n) for n in range(INITIAL_STEPS)) / INITIAL_STEPS
        for task in TASKS
    }


def _normalized(log_weights):
    weights = {task: math.exp(log_weights[task]) for task in TASKS}
    mean = sum(weights.values()) / len(TASKS)
    return [weights[task] / mean for task in TASKS]


def _uncertainty_by_loops(steps):
    initial, s = _initial_losses(), dict.fromkeys(TASKS, 0.0)
    for number in range(steps):
        for task in TASKS:
            if number >= INITIAL_STEPS:
                relative = LOSSES[task](number) / initial[task]
                gradient = 0.5 - 0.5 * math.exp(-s[task]) * relative
                s[task] -= uncertainty.STEP_SIZE * max(gradient, -1.0)
            yield _normalized({name: -value for name, value in s.items()})


def _gradnorm_by_loops(steps):
    initial, logs = _initial_losses(), dict.fromkeys(TASKS, 0.0)
    average, norms = {}, {}
    for number in range(steps):
        for task in TASKS:
            if number >= INITIAL_STEPS:
                relative = LOSSES[task](number) / initial[task]
                before = average.get(task, relative)
                average[task] = 0.95 * before + 0.05 * relative
                if (number + 1) % gradnorm.PERIOD == 0:
                    norms[task] = NORMS[task]
                    if len(norms) == len(TASKS):
                        # The weights with which G = mean(G) r^alpha, of mean log 0.
                        mean = sum(average.values()) / len(TASKS)
                        balanced = {
                            name: (average[name] / mean) ** 1.5 / norms[name]
                            for name in TASKS
                        }
                        middle = math.prod(balanced.values()) ** (1 / len(TASKS))
                        goal = math.log(balanced[task] / middle)
                        logs[task] += 0.1 * (goal - logs[task])
            yield _normalized(logs)


@pytest.mark.parametrize(
    ("method", "loops"),
    [("uncertainty", _uncertainty_by_loops), ("gradnorm", _gradnorm_by_loops)],
)
def test_factors_equal_those_of_loops(method, loops):
    steps = 120
    factors = _factors(method, _reports(steps))
    np.testing.assert_allclose(factors, list(loops(steps)), rtol=1e-6)
    np.testing.assert_allclose(factors.mean(axis=1), 1.0)
    np.testing.assert_array_equal(factors[: INITIAL_STEPS * len(TASKS)], 1.0)
    assert np.ptp(factors[-1]) > 0.3 and factors.min() > 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-6, 1e4])
def test_the_scale_of_a_loss_does_not_matter(method, scale):
    """As it does not for RMSProp (section 4)."""
    expected = _factors(method, _reports(60))
    np.testing.assert_allclose(
        _factors(method, _reports(60, scale)), expected, rtol=1e-9
    )


def test_uncertainty_settles_at_the_inverse_of_the_relative_losses(monkeypatch):
    _change_after_the_beginning(monkeypatch, [0.5, 1.0, 2.0])
    monkeypatch.setattr(uncertainty, "STEP_SIZE", 0.2)
    factors = _last_factors("uncertainty", 150)
    np.testing.assert_allclose(factors, np.array([2, 1, 0.5]) / 3.5 * 3, rtol=1e-3)


def test_gradnorm_settles_where_updates_are_in_the_published_proportion(monkeypatch):
    _change_after_the_beginning(monkeypatch, [0.5, 1.0, 1.2])
    monkeypatch.setattr(gradnorm, "STEP_SIZE", 0.5)
    factors = _last_factors("gradnorm", 200)
    updates = factors * [NORMS[task] for task in TASKS]
    rates = np.array([0.5, 1.0, 1.2]) / 0.9
    np.testing.assert_allclose(
        updates / updates.mean(), rates**1.5 / (rates**1.5).mean(), rtol=1e-3
    )


@pytest.mark.parametrize("method", METHODS)
def test_no_task_is_stopped(method, monkeypatch):
    """Not even by losses of zero, huge losses, and updates of very different sizes."""
    _change_after_the_beginning(monkeypatch, [0.0, 1e9, 1.0])
    monkeypatch.setitem(NORMS, "a", 1e6)
    monkeypatch.setitem(NORMS, "b", 0.0)
    factors = _last_factors(method, 200)
    assert np.all(np.isfinite(factors)) and factors.min() > 0.004


@pytest.mark.parametrize("method", METHODS)
def test_a_checkpoint_continues_where_the_weighting_was(method, tmp_path):
    made = weighting.build(method, TASKS)
    for task, report in _reports(50):
        made.observe(task, report)
    store = CheckpointStore(str(tmp_path))
    store.save("checkpoint-000000050", tf.train.Checkpoint(weighting=made), {})
    # The order of the tasks is not part of a run.
    restored = weighting.build(method, TASKS[::-1])
    store.restore("checkpoint-000000050", tf.train.Checkpoint(weighting=restored))
    for task, report in _reports(90, start=50):
        made.observe(task, report)
        restored.observe(task, report)
    assert [made.factor(task) for task in TASKS] == pytest.approx(
        [restored.factor(task) for task in TASKS], rel=1e-12
    )


def test_none_and_unknown_methods():
    assert weighting.build("none", TASKS) is None
    with pytest.raises(UserError, match="unknown 'best'; known: gradnorm, uncertainty"):
        weighting.build("best", TASKS)


def _train(folder, method, limits, loss_scale=1.0):
    """Trains mock tasks in turns with a weighting; returns their weights and factors."""
    made = weighting.build(method, sorted(limits))
    network, engine = mock_tasks.engine(folder, limits)
    groups = {
        name: mock_tasks.Group(
            mock_tasks.workload(
                network,
                name,
                rate_factor=lambda name=name: made.factor(name),
                loss_scale=loss_scale if name == "a" else 1.0,
            )
        )
        for name in limits
    }
    engine = type(engine)(
        groups,
        dict.fromkeys(limits, 1.0),
        limits,
        engine.clock,
        CheckpointStore(str(folder)),
        tf.train.Checkpoint(
            network=network,
            optimizers={name: group.optimizer for name, group in groups.items()},
            weighting=made,
        ),
        steppers=list(groups.values()),
    )
    rates = []

    def after_step(name, logs, _):
        def norm():
            # The first variable is the shared layer.
            return float(tf.norm(groups[name].last_updates()[0][1]))

        rates.append(logs["learning_rate"])
        made.observe(name, StepReport(logs["loss"], logs["learning_rate"], norm))

    engine.resume()
    engine.run(StopSignals(), 1e9, after_step)
    return network.shared.numpy(), rates


@pytest.mark.parametrize("method", METHODS)
def test_turns_are_reproducible_through_a_resume(method, tmp_path):
    limits = {"a": 62, "bb": 62}
    straight, rates = _train(tmp_path / "straight", method, limits)
    _, first = _train(tmp_path / "cut", method, dict.fromkeys(limits, 47))
    resumed, second = _train(tmp_path / "cut", method, limits)
    assert first + second == rates
    np.testing.assert_array_equal(straight, resumed)
    assert len(set(rates[2 * INITIAL_STEPS :])) > 2


@pytest.mark.parametrize("method", METHODS)
def test_training_does_not_depend_on_the_scale_of_a_loss(method, tmp_path):
    limits = {"a": 42, "bb": 42}
    plain, _ = _train(tmp_path / "plain", method, limits)
    scaled, _ = _train(tmp_path / "scaled", method, limits, loss_scale=64.0)
    np.testing.assert_allclose(scaled, plain, rtol=1e-4)


def test_every_method_is_a_file_of_its_own():
    folder = pathlib.Path(weighting.__file__).parent
    for name, method in weighting.REGISTRY.items():
        assert method.path.startswith(f"selfsup.pretraining.weighting.{name}:")
        assert (folder / f"{name}.py").exists()
