"""Means, spreads and paired intervals against SciPy and loops."""

import math

import invented_study
import numpy as np
import pytest
from scipy import stats

from launch.reports import samples
from launch.reports.metrics import NYU_ABSOLUTE, TOP5
from launch.reports.samples import Numbers, Sample
from launch.studies import rows


def test_the_interval_is_scipys():
    differences = [1.0, 2.5, 0.5, 3.0]
    expected = stats.ttest_1samp(differences, 0.0).confidence_interval(0.95)
    assert samples.t_interval(differences) == pytest.approx(tuple(expected))


def test_the_interval_of_two_is_the_loops():
    # The 97.5% quantile of Student's t with one degree of freedom is tan(0.475 pi).
    low, high = samples.t_interval([1.0, 3.0])
    half = math.tan(0.475 * math.pi) * 1.0
    assert (low, high) == pytest.approx((2 - half, 2 + half))


def test_a_corrected_interval_is_scipys_at_a_higher_confidence():
    values = dict(enumerate([1.0, 2.5, 0.5, 3.0]))
    compared = samples.compare(
        "a", "b", TOP5, Sample(values), Sample(dict.fromkeys(values, 0.0))
    )
    expected = stats.ttest_1samp(list(values.values()), 0.0).confidence_interval(
        1 - 0.05 / 39
    )
    assert compared.interval_among(39) == pytest.approx(tuple(expected))
    assert compared.interval_among(1) == pytest.approx(compared.interval)


@pytest.mark.parametrize("differences", [[], [2.0]])
def test_without_two_differences_nothing_is_known(differences):
    assert samples.t_interval(differences) is None


def test_equal_differences_have_no_width():
    assert samples.t_interval([2.0, 2.0]) == (2.0, 2.0)
    nothing = samples.compare(
        "a", "b", TOP5, Sample({0: 1.0, 1: 1.0}), Sample({0: 1.0, 1: 1.0})
    )
    assert not nothing.clearly_better and not nothing.clearly_worse


def test_mean_and_spread():
    sample = Sample({0: 1.0, 1: 2.0, 2: 6.0})
    mean = sum(sample.values.values()) / 3
    square = sum((value - mean) ** 2 for value in sample.values.values()) / 2
    assert sample.mean == pytest.approx(mean)
    assert sample.spread == pytest.approx(square**0.5)
    assert Sample({5: 1.0}).spread is None


def test_only_seeds_of_both_rows_are_compared():
    comparison = samples.compare(
        "a",
        "b",
        TOP5,
        Sample({0: 5.0, 2: 7.0, 3: 9.0}),
        Sample({2: 6.0, 3: 6.5, 4: 0.0}),
    )
    assert comparison.count == 2
    assert comparison.mean == pytest.approx((1.0 + 2.5) / 2)
    expected = stats.ttest_rel([7.0, 9.0], [6.0, 6.5]).confidence_interval(0.95)
    assert comparison.interval == pytest.approx(tuple(expected))


def test_a_lower_error_is_a_gain():
    comparison = samples.compare(
        "a", "b", NYU_ABSOLUTE, Sample({0: 0.3, 1: 0.31}), Sample({0: 0.5, 1: 0.51})
    )
    assert comparison.mean == pytest.approx(0.2)
    assert comparison.clearly_better


def test_no_common_seed_is_no_comparison():
    comparison = samples.compare("a", "b", TOP5, Sample({0: 5.0}), Sample({1: 5.0}))
    assert (comparison.count, comparison.mean, comparison.interval) == (0, None, None)
    assert not comparison.sources


def test_numbers_of_a_study():
    results = invented_study.results()
    numbers = Numbers(results)
    values = [
        100 * one.metrics["top5"]
        for one in results.measurements
        if (one.row, one.snapshot, one.evaluation) == ("Col", 7, "imagenet_linear")
    ]
    sample = numbers.sample("Col", TOP5, 7)
    assert list(sample.values.values()) == pytest.approx(values)
    assert (numbers.first, numbers.last, numbers.cost_unit) == (1, 7, "K40 hours")
    assert numbers.chance(TOP5) == pytest.approx(0.5)


def test_a_random_trunk_is_the_same_at_all_snapshots():
    numbers = Numbers(invented_study.results())
    first, last = (numbers.sample(rows.RANDOM, TOP5, number) for number in (1, 7))
    assert first.values == last.values and first.count == 3


def test_sources_name_evaluation_and_pretraining_of_each_seed():
    numbers = Numbers(invented_study.results())
    sources = numbers.sample("RP", TOP5, 7).sources
    assert [source.facts["made by"] for source in sources] == [
        "evaluation",
        "pretraining of this trunk",
    ] * 3
    assert [source.facts["seed"] for source in sources] == list("001122")
    assert "16,800 K40 hours" in sources[0].facts["snapshot"]
    value = float(sources[0].facts["top5"])
    assert np.isclose(100 * value, numbers.sample("RP", TOP5, 7).values[0], atol=1e-3)


def test_top1_stands_for_few_classes(monkeypatch):
    monkeypatch.setitem(
        invented_study.CHANCE, "imagenet_linear", {"top1": 0.15, "top5": 0.7}
    )
    numbers = Numbers(invented_study.results())
    assert next(metric.name for metric in numbers.headlines) == "top1"
    assert not numbers.top5_is_useful()
