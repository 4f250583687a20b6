"""Durations have their two greatest units."""

import pytest

from selfsup.common import durations


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.6, "1 min 0 s"),
        (90, "1 min 30 s"),
        (5400, "1 h 30 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_text(seconds, text):
    assert durations.text(seconds) == text
