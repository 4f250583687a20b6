"""Renders images of scenes, with the ground truth of every pixel."""

from __future__ import annotations

import dataclasses
import functools

import cv2
import numpy as np
from numpy.random import Generator

from data_prep.synthetic import ray_tracing, shading
from data_prep.synthetic.arrays import Float32, Int16, UInt8
from data_prep.synthetic.ray_tracing import Hits, PlacedPart
from data_prep.synthetic.scene import Camera, Scene

# Samples in a pixel on an edge: a rotated square, in pixels from the centre.
_EDGE_SAMPLES = ((-0.375, -0.125), (0.125, -0.375), (0.375, 0.125), (-0.125, 0.375))


@dataclasses.dataclass(frozen=True)
class Rendering:
    """An image and its ground truth, at the centres of the pixels.

    Attributes:
      image: uint8 [H, W, 3], RGB, with smooth edges.
      depth: float32 [H, W], metres along the camera's axis.
      object_index: int16 [H, W], index in `Scene.objects`, -1 for the room.
      gloss: float32 [H, W], strength of highlights, 0 to 1.
    """

    image: UInt8
    depth: Float32
    object_index: Int16
    gloss: Float32


def render(scene: Scene, camera: Camera, time: float = 0.0) -> Rendering:
    """Renders a scene as a camera sees it at a time (in frames)."""
    shape = camera.height, camera.width
    placed = ray_tracing.place_parts(scene, time)
    rays = ray_tracing.Rays(camera, ray_tracing.PixelGrid(*shape))
    hits = ray_tracing.trace(scene.room, placed, rays)
    colors = shading.shade(scene, placed, hits, time)
    _smooth_edges(colors, scene, placed, hits, time)
    # The last entries are the room's surfaces, whose index is negative.
    owner = np.array([part.object_index for part in placed] + [-1] * 4, np.int16)
    gloss = np.array([part.part.gloss for part in placed] + [0.0] * 4, np.float32)
    image = (colors * 255 + 0.5).astype(np.uint8)
    return Rendering(
        image=image.reshape(*shape, 3),
        depth=hits.depth.reshape(shape),
        object_index=owner[hits.part].reshape(shape),
        gloss=gloss[hits.part].reshape(shape),
    )


def _smooth_edges(
    colors: Float32, scene: Scene, placed: list[PlacedPart], hits: Hits, time: float
) -> None:
    """Replaces `colors` of pixels on edges between parts by means of samples."""
    camera, pixels = hits.rays.camera, hits.rays.image_points
    part = hits.part.reshape(camera.height, camera.width)
    edge = np.zeros(part.shape, bool)
    across, down = part[:, 1:] != part[:, :-1], part[1:] != part[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    chosen = np.flatnonzero(edge)
    if not len(chosen):
        return
    u = np.concatenate([pixels.u[chosen] + np.float32(x) for x, _ in _EDGE_SAMPLES])
    v = np.concatenate([pixels.v[chosen] + np.float32(y) for _, y in _EDGE_SAMPLES])
    rays = ray_tracing.Rays(camera, ray_tracing.ScatteredPoints(u, v))
    samples = ray_tracing.trace(scene.room, placed, rays)
    sampled = shading.shade(scene, placed, samples, time)
    colors[chosen] = sampled.reshape(len(_EDGE_SAMPLES), len(chosen), 3).mean(axis=0)


@functools.cache
def _sensor_noise() -> Float32:
    """A long stretch of noise: drawing it for each image would cost a tenth of it."""
    return np.random.default_rng(0).standard_normal(1 << 21, np.float32)


def photograph(image: UInt8, random: Generator, noise: float = 2.0) -> UInt8:
    """Makes a rendered image look as if a cheap camera took it: soft and noisy.

    Args:
      image: uint8 [H, W, 3], at most 2M values.
      random: generator.
      noise: standard deviation in gray levels.

    Returns:
      uint8 [H, W, 3].
    """
    soft = cv2.GaussianBlur(image, (0, 0), 0.5).astype(np.float32)
    field = _sensor_noise()
    start = random.integers(len(field) - image.size)
    grain = field[start : start + image.size].reshape(image.shape)
    return np.clip(soft + noise * grain + 0.5, 0, 255).astype(np.uint8)
