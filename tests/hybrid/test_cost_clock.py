from selfsup.hybrid import cost_clock


def test_cost_adds_steps_times_constants_over_tasks():
    clock = cost_clock.CostClock({"a": 2.0, "b": 0.5}, threshold=10.0)
    assert clock.cost({"a": 3, "b": 4}) == 8.0
    assert clock.snapshots({"a": 3, "b": 4}) == 0
    assert clock.snapshots({"a": 4, "b": 4}) == 1
    assert clock.snapshots({"a": 10, "b": 41}) == 4


def test_no_threshold_no_snapshot():
    assert cost_clock.CostClock({"a": 2.0}).snapshots({"a": 10**6}) == 0


def test_calibration_takes_the_fastest_step_and_then_keeps_it():
    clock = cost_clock.CostClock({})
    # The first includes tracing; later steps must not change the constant.
    for seconds in [0.001, 3.0, 2.0, 5.0, 2.5, 4.0, 0.5, 9.0]:
        clock.observe("a", seconds)
    assert clock.step_costs == {"a": 2.0}
    assert clock.cost({"a": 10}) == 20.0


def test_a_given_constant_is_not_calibrated():
    clock = cost_clock.CostClock({"a": 7.0})
    for _ in range(9):
        clock.observe("a", 0.1)
    assert clock.step_costs == {"a": 7.0}


def test_the_end():
    clock = cost_clock.CostClock({"a": 2.0}, end=10.0)
    assert not clock.ended({"a": 4})
    assert clock.ended({"a": 5})
    assert not cost_clock.CostClock({"a": 2.0}).ended({"a": 10**9})
