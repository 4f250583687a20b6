"""Pictures of scenes with the truth about every pixel."""

import dataclasses
import functools

import cv2
import numpy as np

from data_prep.synthetic import ray_tracing, textures

# Where a pixel on an edge is looked at: a rotated square, in pixels from its centre.
_EDGE_SAMPLES = ((-0.375, -0.125), (0.125, -0.375), (0.375, 0.125), (-0.125, 0.375))
_SHADOW = 0.6
_SHININESS = 24
_EXPOSURE = 1.5


@dataclasses.dataclass(frozen=True)
class Rendering:
    """A picture and its truth; all [H, W].

    Attributes:
      image: uint8 [H, W, 3], RGB.
      depth: float32, metres along the camera's axis, at the pixels' centres.
      thing: int16, index of the thing seen at the pixel's centre, -1 for the room.
      gloss: float32, 0 to 1, how shiny what is seen there is.
    """

    image: np.ndarray
    depth: np.ndarray
    thing: np.ndarray
    gloss: np.ndarray


def render(scene, camera, time=0.0):
    """The scene as the camera sees it at a time."""
    placed = ray_tracing.place_all(scene, time)
    grid = ray_tracing.Grid(camera.height, camera.width)
    hits = ray_tracing.trace(scene.room, placed, camera, grid)
    colors = shade(scene, placed, camera, grid, hits, time)
    shape = camera.height, camera.width
    _smooth_edges(colors, hits.part.reshape(shape), scene, placed, camera, grid, time)
    owner = np.array([one.thing for one in placed] + [-1] * 4, np.int16)
    shine = np.array([one.part.gloss for one in placed] + [0.0] * 4, np.float32)
    image = (colors * 255 + 0.5).astype(np.uint8)
    return Rendering(
        image=image.reshape(*shape, 3),
        depth=hits.depth.reshape(shape),
        thing=owner[hits.part].reshape(shape),
        gloss=shine[hits.part].reshape(shape),
    )


def _smooth_edges(colors, part, scene, placed, camera, grid, time):
    """Looks at pixels on edges between parts several times; changes `colors`."""
    edge = np.zeros(part.shape, bool)
    for one, other in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        differ = part[one] != part[other]
        edge[one] |= differ
        edge[other] |= differ
    chosen = np.flatnonzero(edge)
    if not len(chosen):
        return
    u = np.concatenate([grid.u[chosen] + np.float32(dx) for dx, _ in _EDGE_SAMPLES])
    v = np.concatenate([grid.v[chosen] + np.float32(dy) for _, dy in _EDGE_SAMPLES])
    points = ray_tracing.Scatter(u, v)
    hits = ray_tracing.trace(scene.room, placed, camera, points)
    seen = shade(scene, placed, camera, points, hits, time)
    colors[chosen] = seen.reshape(len(_EDGE_SAMPLES), len(chosen), 3).mean(axis=0)


def shade(scene, placed, camera, image_points, hits, time):
    """Colors of what was hit: float32 [N, 3], RGB in [0, 1]."""
    count = len(hits.depth)
    albedo = np.empty((count, 3), np.float32)
    normal = np.empty((3, count), np.float32)
    gloss = np.zeros(count, np.float32)
    order = np.argsort(hits.part, kind="stable")
    sorted_parts = hits.part[order]
    starts = np.flatnonzero(np.r_[True, sorted_parts[1:] != sorted_parts[:-1]])
    for where in np.split(order, starts[1:]):
        index = hits.part[where[0]]
        if index < 0:
            found = _room_surface(scene.room, index, camera, hits, where)
        else:
            found = _part_surface(placed[index], camera, hits, where)
            gloss[where] = placed[index].part.gloss
        albedo[where], normal[:, where] = found
    shadow = _contact_shadows(scene, camera, image_points, hits, time)
    return _lit(scene, hits, albedo, normal, gloss, shadow)


def _part_surface(one, camera, hits, where):
    """(albedo [M, 3], normals [3, M]) of hits on a part."""
    normals, uv = one.part.solid.surface(one.local(hits.points(where)))
    normals = one.inverse.T @ normals
    normals /= np.maximum(np.linalg.norm(normals, axis=0), 1e-9)
    extent = 2 * np.abs(np.linalg.det(one.matrix)) ** (1 / 3)
    texel = extent / one.part.texture.size
    texels = float(hits.depth[where].mean()) / camera.focal / texel
    return one.part.texture.sample(uv, texels), normals


def _room_surface(room, surface, camera, hits, where):
    """(albedo [M, 3], normals [3, M]) of hits on a surface of the room."""
    x, y, z = hits.points(where)
    direction = hits.direction[:, where]
    normals = np.zeros_like(direction)
    axis = {ray_tracing.WALL_X: 0, ray_tracing.WALL_Z: 2}.get(surface, 1)
    normals[axis] = -np.sign(direction[axis])
    if surface == ray_tracing.FLOOR:
        texture, tile, uv = room.floor, room.tile[0], (x, z)
    elif surface == ray_tracing.CEILING:
        texture, tile, uv = room.ceiling, room.tile[2], (x, z)
    else:
        along = z if surface == ray_tracing.WALL_X else x
        texture, tile, uv = room.walls, room.tile[1], (along, -y)
    uv = np.stack(uv) / np.float32(tile)
    # A slanted surface puts more texels into a pixel.
    length = np.sqrt(np.einsum("in,in->n", direction, direction))
    cosine = np.maximum(np.abs(direction[axis]) / length, 0.1)
    texel = tile / texture.size
    texels = hits.depth[where] / camera.focal / texel / np.sqrt(cosine)
    level = textures.mip_level(texels)
    albedo = np.empty((len(where), 3), np.float32)
    for one in np.unique(level):
        chosen = level == one
        albedo[chosen] = texture.sample(uv[:, chosen], 2**one)
    return albedo, normals


def _contact_shadows(scene, camera, image_points, hits, time):
    """Soft shadows of things on the floor: float32 [N], 1 is unshadowed."""
    shadow = np.ones(len(hits.depth), np.float32)
    light = scene.lights[0].position
    for thing in scene.things:
        if thing.kind is None:
            continue
        matrix, offset = thing.pose(time)
        foot = matrix @ thing.pivot + offset
        away = (foot - light)[[0, 2]] / max(light[1] - foot[1], 0.5)
        middle = foot[[0, 2]] + 0.6 * foot[1] * np.clip(away, -1.5, 1.5)
        reach = 1.1 * thing.radius
        window = ray_tracing.window_of(_disc(middle, 2 * reach), camera)
        if window is None:
            continue
        chosen = image_points.within(window)
        chosen = chosen[hits.part[chosen] == ray_tracing.FLOOR]
        x, _, z = hits.points(chosen)
        away = ((x - middle[0]) ** 2 + (z - middle[1]) ** 2) / reach**2
        shadow[chosen] *= 1 - _SHADOW * np.exp(-(away**1.5))
    return shadow


def _disc(middle, radius):
    angles = np.arange(8) * np.pi / 4
    x, z = middle[0] + radius * np.sin(angles), middle[1] + radius * np.cos(angles)
    return np.stack([x, np.zeros(8), z])


def _lit(scene, hits, albedo, normal, gloss, shadow):
    """Lambert's law with lamps that fall off, and highlights of the first lamp."""
    points = hits.points()
    sky = (0.75 + 0.25 * normal[1]) * (0.4 + 0.6 * shadow)
    light = [sky * np.float32(one) for one in scene.ambient]
    for index, lamp in enumerate(scene.lights):
        towards = np.float32(lamp.position)[:, None] - points
        squared = np.einsum("in,in->n", towards, towards)
        cosine = np.einsum("in,in->n", normal, towards) / np.sqrt(squared)
        falloff = 1 + squared * np.float32(lamp.reach**-2)
        strength = np.maximum(cosine, 0) * shadow / falloff
        for plane, one in zip(light, lamp.color):
            plane += strength * np.float32(one)
        if index == 0:
            shiny, shine = _highlight(hits, normal, gloss, towards)
    colors = albedo * np.stack(light, axis=1)
    colors[shiny] += shine[:, None] * np.float32(scene.lights[0].color)
    # As film does, so that what is brightly lit keeps its texture.
    return 1 - np.exp(np.float32(-_EXPOSURE) * colors)


def _highlight(hits, normal, gloss, towards):
    """(indices of shiny hits, strength of the lamp's reflection in them)."""
    shiny = np.flatnonzero(gloss)
    light = towards[:, shiny] / np.linalg.norm(towards[:, shiny], axis=0)
    view = hits.direction[:, shiny] / np.linalg.norm(hits.direction[:, shiny], axis=0)
    half = light - view
    half /= np.maximum(np.linalg.norm(half, axis=0), 1e-6)
    cosine = np.maximum(np.einsum("in,in->n", normal[:, shiny], half), 0)
    return shiny, 0.6 * gloss[shiny] * cosine**_SHININESS


@functools.cache
def _sensor_noise():
    """Noise to take stretches of: new noise for each picture would cost a tenth of it."""
    return np.random.default_rng(0).standard_normal(1 << 21, np.float32)


def photograph(image, random, noise=2.0):
    """What a cheap camera makes of a rendered image: soft and noisy.

    Args:
      image: uint8 [H, W, 3].
      random: generator.
      noise: standard deviation in gray levels.

    Returns:
      uint8 [H, W, 3].
    """
    soft = cv2.GaussianBlur(image, None, 0.5).astype(np.float32)
    field = _sensor_noise()
    start = random.integers(len(field) - image.size)
    grain = field[start : start + image.size].reshape(image.shape)
    return np.clip(soft + noise * grain + 0.5, 0, 255).astype(np.uint8)
