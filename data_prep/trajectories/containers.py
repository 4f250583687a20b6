"""Which files are videos by their content, and no lists of other files.

FFmpeg also opens playlists (M3U, ffconcat), session descriptions and manifests, whatever
they are called, and then the files and addresses that they name. OpenCV does not pass
FFmpeg's own restrictions on, so files are looked at before.
"""

# As much as FFmpeg ever looks at to tell a format.
_HEAD_BYTES = 1 << 20
_SIGNATURES = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"OggS",
    b"FLV",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF: WMV
    b"GIF8",
    b"YUV4MPEG2",
    b"\xff\xd8\xff",  # Motion JPEG
    b"\0\0\1",  # MPEG program and video streams
    b"\0\0\0\1",  # H.264 and H.265 streams
)
# First boxes of MP4 and QuickTime files; the box's size comes before.
_BOXES = (
    *(b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"udta"),
    *(b"uuid", b"styp", b"sidx", b"moof", b"junk", b"pict", b"PICT"),
)
# Bytes of an MPEG transport stream's packets, with time stamps and with checksums.
_PACKETS = (188, 192, 204)
_PACKETS_CHECKED = 5
# What FFmpeg knows a list by, anywhere in the text that a file begins with.
_LISTS = (b"c=in ip", b"<mpd", b"<compositionplaylist", b"#extm3u", b"ffconcat")


def is_video(path):
    """Whether a file begins like a video of a known container.

    Raises:
      OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    return _is_container(head) and not _is_list(head)


def _is_container(head):
    return (
        head.startswith(_SIGNATURES)
        or head[4:8] in _BOXES
        or (head[:4] == b"RIFF" and head[8:11] == b"AVI")
        or _is_transport_stream(head)
    )


def _is_transport_stream(head):
    return any(
        head[start : start + _PACKETS_CHECKED * size : size] == _PACKETS_CHECKED * b"G"
        for size in _PACKETS
        for start in range(size)
    )


def _is_list(head):
    text = head.partition(b"\0")[0].lower()
    return any(sign in text for sign in _LISTS)
