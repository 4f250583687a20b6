"""Colors of the surfaces that rays meet: textures, light and shadows."""

from __future__ import annotations

import numpy as np

from data_prep.synthetic import ray_tracing, textures
from data_prep.synthetic.arrays import Float32, Floats, Indices
from data_prep.synthetic.ray_tracing import Hits, PlacedPart
from data_prep.synthetic.scene import Light, Room, Scene

_SHADOW = 0.6
_SHININESS = 24
_HIGHLIGHT = 0.6
_EXPOSURE = 1.5


def shade(scene: Scene, placed: list[PlacedPart], hits: Hits, time: float) -> Float32:
    """Returns the colors of what rays hit: float32 [N, 3], RGB in [0, 1].

    Args:
      scene: the scene.
      placed: its parts at the time, which `hits` refers to.
      hits: what N rays met.
      time: in frames.
    """
    count = len(hits.depth)
    albedo = np.empty((count, 3), np.float32)
    normal = np.empty((3, count), np.float32)
    gloss = np.zeros(count, np.float32)
    for index in np.unique(hits.part):
        chosen = np.flatnonzero(hits.part == index)
        if index < 0:
            surface = _room_surface(scene.room, index, hits, chosen)
        else:
            surface = _part_surface(placed[index], hits, chosen)
            gloss[chosen] = placed[index].part.gloss
        albedo[chosen], normal[:, chosen] = surface
    shadow = _contact_shadows(scene, hits, time)
    return _light(scene, hits, albedo, normal, gloss, shadow)


def _part_surface(
    part: PlacedPart, hits: Hits, chosen: Indices
) -> tuple[Float32, Float32]:
    """(albedo [M, 3], normals [3, M]) of M hits on a part."""
    texture = part.part.texture
    normals, uv = part.part.solid.surface(part.local(hits.points(chosen)))
    normals = part.inverse.T @ normals
    normals /= np.maximum(np.linalg.norm(normals, axis=0), 1e-9)
    extent = 2 * np.abs(np.linalg.det(part.matrix)) ** (1 / 3)
    texel = extent / texture.size
    texels = float(hits.depth[chosen].mean()) / hits.rays.camera.focal / texel
    return texture.sample(uv, texels), normals


def _room_surface(
    room: Room, surface: int, hits: Hits, chosen: Indices
) -> tuple[Float32, Float32]:
    """(albedo [M, 3], normals [3, M]) of M hits on a surface of the room."""
    x, y, z = hits.points(chosen)
    direction = hits.rays.direction[:, chosen]
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
    coordinates = np.stack(uv) / np.float32(tile)
    # A pixel covers more texels of a surface that is seen at a slant.
    length = np.sqrt(np.einsum("in,in->n", direction, direction))
    cosine = np.maximum(np.abs(direction[axis]) / length, 0.1)
    texel = tile / texture.size
    texels = hits.depth[chosen] / hits.rays.camera.focal / texel / np.sqrt(cosine)
    levels = textures.mipmap_level(texels)
    albedo = np.empty((len(chosen), 3), np.float32)
    for level in np.unique(levels):
        same = levels == level
        albedo[same] = texture.sample(coordinates[:, same], 2**level)
    return albedo, normals


def _contact_shadows(scene: Scene, hits: Hits, time: float) -> Float32:
    """Soft shadows of objects on the floor: float32 [N], 1 where there is none."""
    shadow = np.ones(len(hits.depth), np.float32)
    lamp = scene.lights[0].position
    for scene_object in scene.objects:
        if scene_object.kind is None:
            continue
        matrix, offset = scene_object.pose(time)
        pivot = matrix @ scene_object.pivot + offset
        away = (pivot - lamp)[[0, 2]] / max(lamp[1] - pivot[1], 0.5)
        middle = pivot[[0, 2]] + 0.6 * pivot[1] * np.clip(away, -1.5, 1.5)
        reach = 1.1 * scene_object.radius
        window = ray_tracing.window_around(
            _circle_on_floor(middle, 2 * reach), hits.rays.camera
        )
        if window is None:
            continue
        chosen = hits.rays.image_points.within(window)
        chosen = chosen[hits.part[chosen] == ray_tracing.FLOOR]
        x, _, z = hits.points(chosen)
        distance = ((x - middle[0]) ** 2 + (z - middle[1]) ** 2) / reach**2
        shadow[chosen] *= 1 - _SHADOW * np.exp(-(distance**1.5))
    return shadow


def _circle_on_floor(middle: Floats, radius: float) -> Floats:
    """Points [3, 8] on a circle about (x, z)."""
    angles = np.arange(8) * np.pi / 4
    x, z = middle[0] + radius * np.sin(angles), middle[1] + radius * np.cos(angles)
    return np.stack([x, np.zeros(8), z])


def _light(
    scene: Scene,
    hits: Hits,
    albedo: Float32,
    normal: Float32,
    gloss: Float32,
    shadow: Float32,
) -> Float32:
    """Colors [N, 3] by Lambert's law, with highlights of the first lamp."""
    points = hits.points()
    sky = (0.75 + 0.25 * normal[1]) * (0.4 + 0.6 * shadow)
    planes = [sky * np.float32(value) for value in scene.ambient]
    for lamp in scene.lights:
        to_lamp = _to_lamp(lamp, points)
        squared = np.einsum("in,in->n", to_lamp, to_lamp)
        cosine = np.einsum("in,in->n", normal, to_lamp) / np.sqrt(squared)
        falloff = 1 + squared * np.float32(lamp.reach**-2)
        strength = np.maximum(cosine, 0) * shadow / falloff
        for plane, value in zip(planes, lamp.color):
            plane += strength * np.float32(value)
    colors = albedo * np.stack(planes, axis=1)
    first = scene.lights[0]
    glossy = np.flatnonzero(gloss)
    shine = (
        _HIGHLIGHT
        * gloss[glossy]
        * _reflection(
            _to_lamp(first, points[:, glossy]),
            hits.rays.direction[:, glossy],
            normal[:, glossy],
        )
    )
    colors[glossy] += shine[:, None] * first.color.astype(np.float32)
    # Compressed like film, so that brightly lit surfaces keep their texture.
    return 1 - np.exp(np.float32(-_EXPOSURE) * colors)


def _to_lamp(lamp: Light, points: Float32) -> Float32:
    return lamp.position.astype(np.float32)[:, None] - points


def _reflection(to_lamp: Float32, view: Float32, normal: Float32) -> Float32:
    """Strength [M] of a lamp's reflection by Blinn's model, in [0, 1].

    Args:
      to_lamp: [3, M], from the surface to the lamp.
      view: [3, M], from the camera to the surface.
      normal: [3, M], unit vectors.
    """
    light = to_lamp / np.linalg.norm(to_lamp, axis=0)
    half = light - view / np.linalg.norm(view, axis=0)
    half /= np.maximum(np.linalg.norm(half, axis=0), 1e-6)
    cosine = np.maximum(np.einsum("in,in->n", normal, half), 0)
    return cosine**_SHININESS
