import pytest

from selfsup.hybrid import turns


def _play(weights, limits, count):
    steps = dict.fromkeys(weights, 0)
    order = []
    for _ in range(count):
        name = turns.next_group(steps, weights, limits)
        if name is None:
            break
        steps[name] += 1
        order.append(name)
    return order


def test_equal_weights_alternate():
    weights = {"a": 1.0, "b": 1.0, "c": 1.0}
    assert _play(weights, dict.fromkeys(weights, 2), 9) == list("abcabc")


def test_shares_follow_the_weights_at_any_time():
    weights = {"a": 3.0, "b": 1.0, "c": 0.5}
    order = _play(weights, dict.fromkeys(weights, 10**9), 900)
    total = sum(weights.values())
    for length in range(1, len(order) + 1):
        for name, weight in weights.items():
            share = length * weight / total
            assert abs(order[:length].count(name) - share) <= 1.0


def test_three_to_one_is_interleaved():
    weights = {"a": 3.0, "b": 1.0}
    assert _play(weights, dict.fromkeys(weights, 100), 8) == list("aabaaaba")


def test_a_finished_group_leaves_its_turns_to_the_others():
    assert _play({"a": 1.0, "b": 1.0}, {"a": 1, "b": 3}, 9) == list("abbb")


def test_a_resumed_run_takes_the_same_turns():
    weights, limits = {"a": 2.0, "b": 1.0}, {"a": 40, "b": 20}
    order = _play(weights, limits, 60)
    for cut in (1, 7, 31):
        steps = {name: order[:cut].count(name) for name in weights}
        assert turns.next_group(steps, weights, limits) == order[cut]


@pytest.mark.parametrize("weight", [0.1, 0.3, 7])
def test_weights_need_not_be_whole(weight):
    order = _play({"a": weight, "b": 1.0}, {"a": 10**9, "b": 10**9}, 1000)
    assert order.count("a") == pytest.approx(1000 * weight / (1 + weight), abs=1)
