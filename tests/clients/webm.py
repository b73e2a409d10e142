"""A WebM film of still pictures: enough of Matroska that a browser plays it, and seeks in it by its Cues.

A lossy WebP picture is one VP8 key frame, so pictures that a browser drew need no encoder of ours.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

TIMECODE_NS = 1_000_000  # times below are milliseconds


def vp8_frame(webp: bytes) -> bytes:
    """The VP8 frame within a lossy WebP file: its `VP8 ` chunk."""
    position = 12
    while position + 8 <= len(webp):
        kind, size = struct.unpack_from("<4sI", webp, position)
        if kind == b"VP8 ":
            return webp[position + 8 : position + 8 + size]
        position += 8 + size + size % 2
    raise ValueError(f"not a lossy WebP: {webp[:16]!r}")


def element(identifier: int, content: bytes) -> bytes:
    """An EBML element: identifier, size in eight bytes, content."""
    name = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return name + (len(content) | 1 << 56).to_bytes(8, "big") + content


def number(identifier: int, value: int) -> bytes:
    """An element that holds an unsigned integer."""
    return element(identifier, value.to_bytes(8, "big"))


def film(frames: Sequence[bytes], width: int, height: int, milliseconds: int) -> bytes:
    """Each frame is shown for `milliseconds`, in a cluster of its own that the Cues name."""
    header = element(
        0x1A45DFA3,
        number(0x4286, 1) + number(0x42F7, 1) + number(0x42F2, 4) + number(0x42F3, 8)
        + element(0x4282, b"webm") + number(0x4287, 2) + number(0x4285, 2),
    )  # fmt: skip
    duration = struct.pack(">d", float(len(frames) * milliseconds))
    info = element(0x1549A966, number(0x2AD7B1, TIMECODE_NS) + element(0x4489, duration))
    video = element(0xE0, number(0xB0, width) + number(0xBA, height))
    track = number(0xD7, 1) + number(0x73C5, 1) + number(0x83, 1) + element(0x86, b"V_VP8") + video
    tracks = element(0x1654AE6B, element(0xAE, track))
    clusters = [
        element(0x1F43B675, number(0xE7, index * milliseconds) + element(0xA3, b"\x81\0\0\x80" + frame))
        for index, frame in enumerate(frames)
    ]
    lead = len(info) + len(tracks)
    size = len(_cues([0] * len(clusters), milliseconds))
    positions, position = [], lead + size
    for cluster in clusters:
        positions.append(position)
        position += len(cluster)
    return header + element(0x18538067, info + tracks + _cues(positions, milliseconds) + b"".join(clusters))


def _cues(positions: Sequence[int], milliseconds: int) -> bytes:
    points = (
        element(
            0xBB, number(0xB3, index * milliseconds) + element(0xB7, number(0xF7, 1) + number(0xF1, position))
        )
        for index, position in enumerate(positions)
    )
    return element(0x1C53BB6B, b"".join(points))
