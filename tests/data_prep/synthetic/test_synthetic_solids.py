"""Compares ray intersections with tests of many points along each ray."""

from __future__ import annotations

from typing import Callable

import numpy as np
import pytest

from data_prep.synthetic import solids
from data_prep.synthetic.arrays import Bool, Float32, Floats


def _inside_ball(points: Floats) -> Bool:
    return (points**2).sum(axis=0) <= 1


def _inside_half_ball(points: Floats) -> Bool:
    return _inside_ball(points) & (points[1] >= 0.2)


def _inside_frustum(points: Floats) -> Bool:
    x, y, z = points
    return (y >= 0) & (y <= 1) & (np.hypot(x, z) <= 1 - 0.7 * y)


def _inside_box(points: Floats) -> Bool:
    return (np.abs(points) <= 1).all(axis=0)


def _inside_prism(points: Floats) -> Bool:
    x, y, z = points
    return (np.abs(z) <= 1) & (y >= -1) & (y <= 1 - 2 * np.abs(x))


SOLIDS: dict[str, tuple[solids.Solid, Callable[[Floats], Bool]]] = {
    "ball": (solids.Ball(), _inside_ball),
    "half ball": (solids.Ball(low=0.2), _inside_half_ball),
    "frustum": (solids.Frustum(1.0, 0.3), _inside_frustum),
    "upside down": (
        solids.Frustum(0.3, 1.0),
        lambda p: _inside_frustum(np.stack([p[0], 1 - p[1], p[2]])),
    ),
    "box": (solids.Box(), _inside_box),
    "prism": (
        solids.prism([(-1.0, -1.0), (1.0, -1.0), (0.0, 1.0)]),
        _inside_prism,
    ),
}


def _rays(count: int = 400) -> tuple[Float32, Float32]:
    """(origin [3, N], direction [3, N]) of rays from outside that point into the solid."""
    random = np.random.default_rng(0)
    start = random.normal(size=(3, count))
    start *= 4 / np.linalg.norm(start, axis=0)
    target = random.uniform(-1, 1, (3, count))
    direction = target - start
    return start.astype(np.float32), direction.astype(np.float32)


@pytest.mark.parametrize("name", SOLIDS)
def test_rays_enter_and_leave_where_the_solid_begins_and_ends(name: str) -> None:
    solid, is_inside = SOLIDS[name]
    origin, direction = _rays()
    entry, leave = solid.intersect(origin, direction)
    times = np.linspace(0, 2, 1001)
    inside = np.stack([is_inside(origin + t * direction) for t in times])
    met = inside.any(axis=0)
    assert met.mean() > 0.1
    # The points may miss a stretch shorter than their distance.
    longer = leave - entry > 2 * times[1]
    assert (longer <= met).all() and (met <= (entry <= leave)).all()
    first = times[inside.argmax(axis=0)]
    last = times[len(times) - 1 - inside[::-1].argmax(axis=0)]
    np.testing.assert_allclose(entry[met], first[met], atol=1.1 * times[1])
    np.testing.assert_allclose(leave[met], last[met], atol=1.1 * times[1])


@pytest.mark.parametrize("name", SOLIDS)
def test_normals_point_out_of_the_solid(name: str) -> None:
    solid, is_inside = SOLIDS[name]
    origin, direction = _rays()
    entry, leave = solid.intersect(origin, direction)
    met = leave - entry > 0.1
    points = (origin + entry * direction)[:, met]
    normals, uv = solid.surface(points)
    normals = normals / np.linalg.norm(normals, axis=0)
    assert ((normals * direction[:, met]).sum(axis=0) < 0).all()
    assert not is_inside(points + 0.01 * normals).any()
    assert uv.shape == (2, met.sum()) and np.isfinite(uv).all()


@pytest.mark.parametrize("name", SOLIDS)
def test_hull_encloses_the_solid(name: str) -> None:
    solid, is_inside = SOLIDS[name]
    points = np.random.default_rng(1).uniform(-1, 1, (3, 20000))
    points = points[:, is_inside(points)]
    low, high = solid.hull().min(axis=1), solid.hull().max(axis=1)
    assert (points.min(axis=1) >= low - 0.05).all()
    assert (points.max(axis=1) <= high + 0.05).all()
