"""Writes small video files of many containers and codecs, and edits their bytes."""

import fractions
import struct

import av
import numpy as np

HEIGHT, WIDTH = 48, 64
FPS = 25
# The number 1 in a display matrix: 16.16 fixed point, and 2.30 in the last column.
_ONE, _ONE_LAST = 1 << 16, 1 << 30


def picture(height=HEIGHT, width=WIDTH):
    """Returns uint8 [H, W, 3] BGR with a different color in each quarter."""
    image = np.empty([height, width, 3], np.uint8)
    image[: height // 2, : width // 2] = 200, 60, 40
    image[: height // 2, width // 2 :] = 40, 190, 60
    image[height // 2 :, : width // 2] = 50, 50, 220
    image[height // 2 :, width // 2 :] = 210, 210, 200
    return image


def moving(count):
    """Returns `count` pictures of a moving pattern."""
    noise = np.random.default_rng(0).integers(0, 255, [6, 8, 3]).astype(np.uint8)
    image = np.kron(noise, np.ones([HEIGHT // 6, WIDTH // 8, 1], np.uint8))
    return [np.roll(image, 2 * shift, axis=1) for shift in range(count)]


def write(
    path,
    codec="mpeg4",
    images=None,
    times=None,
    audio=None,
    seconds=0.0,
    sound_first=False,
    pixels="yuv420p",
    format=None,
    codec_options=None,
    metadata=None,
    **options,
):
    """Writes a video.

    Args:
      path: the file; its extension selects the container, unless `format` does.
      codec: the encoder's name in FFmpeg.
      images: list of uint8 [H, W, 3] BGR; 20 by default.
      times: list of the pictures' times in milliseconds; 25 per second by default.
      audio: encoder of a sound track of `seconds`; None for no sound.
      sound_first: whether the sound is the file's first stream.
      pixels: the pixel format's name in FFmpeg.
      codec_options: dict of encoder options.
      metadata: dict of texts to store in the container.
      **options: container options.

    Returns:
      the path.
    """
    images = moving(20) if images is None else images
    base = fractions.Fraction(1, 1000 if times else FPS)
    ticks = times or range(len(images))
    with av.open(str(path), "w", format=format, container_options=options) as container:
        container.metadata.update(metadata or {})
        sound = None
        if audio and sound_first:
            sound = container.add_stream(audio, rate=48000)
        video = container.add_stream(codec, rate=FPS, options=codec_options or {})
        video.height, video.width = images[0].shape[:2]
        video.pix_fmt = pixels
        video.codec_context.time_base = base
        if audio and not sound_first:
            sound = container.add_stream(audio, rate=48000)
        for image, tick in zip(images, ticks):
            frame = av.VideoFrame.from_ndarray(image, "bgr24")
            frame.pts, frame.time_base = tick, base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound:
            write_noise(container, sound, seconds)
    return path


def write_noise(container, stream, seconds):
    """Encodes a sound track of `seconds`."""
    noise = np.random.default_rng(0).normal(0, 1000, [1, 480]).astype(np.int16)
    for index in range(round(seconds * 100)):
        frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
        frame.rate = 48000
        frame.pts = 480 * index
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def with_matrix(path, a, b, c, d):
    """Sets an MP4's display matrix: pixel (p, q) is shown at (a p + c q, b p + d q)."""
    data = bytearray(path.read_bytes())
    # The box's type; version, times, number, length; reserved, layer, group, volume.
    place = data.index(b"tkhd") + 4 + 24 + 16
    matrix = [a * _ONE, b * _ONE, 0, c * _ONE, d * _ONE, 0, 0, 0, _ONE_LAST]
    struct.pack_into(">9i", data, place, *matrix)
    path.write_bytes(data)
    return path


def trimmed(path, first, count):
    """Sets the edit list of an MP4 (25 frames/s) to `count` pictures from `first`."""
    data = bytearray(path.read_bytes())
    scale = struct.unpack_from(">I", data, data.index(b"mvhd") + 4 + 12)[0]
    ticks = struct.unpack_from(">I", data, data.index(b"mdhd") + 4 + 12)[0]
    # The box's type; version, number of edits.
    place = data.index(b"elst") + 4 + 8
    struct.pack_into(">2i", data, place, scale * count // FPS, ticks * first // FPS)
    path.write_bytes(data)
    return path


def cut(path, share):
    """Truncates a file to a share of its bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path
