"""Rotation matrices: float32 [3, 3]; y is up, angles are in radians."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_prep.synthetic.arrays import Float32, Floats

IDENTITY: Float32 = np.eye(3, dtype=np.float32)


def about_axis(axis: Sequence[float] | Floats, angle: float) -> Float32:
    """The rotation by `angle` about the unit vector `axis` (Rodrigues' formula)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix = np.eye(3) + np.sin(angle) * cross
    return (matrix + (1 - np.cos(angle)) * cross @ cross).astype(np.float32)


def yaw(angle: float) -> Float32:
    """Rotation about the vertical axis y; a positive angle turns z towards x."""
    return about_axis((0, 1, 0), angle)


def pitch(angle: float) -> Float32:
    """Rotation about x; a positive angle turns z downwards."""
    return about_axis((1, 0, 0), angle)


def roll(angle: float) -> Float32:
    """Rotation about z; a positive angle turns x towards y."""
    return about_axis((0, 0, 1), angle)


def from_y_to(direction: Floats) -> Float32:
    """The shortest rotation that takes the y axis to the unit vector `direction`."""
    up = np.array([0, 1, 0], np.float32)
    axis = np.cross(up, direction)
    sine, cosine = np.linalg.norm(axis), float(direction[1])
    if sine < 1e-6:
        return IDENTITY if cosine > 0 else np.diag([1, -1, -1]).astype(np.float32)
    return about_axis(axis / sine, np.arctan2(sine, cosine))
