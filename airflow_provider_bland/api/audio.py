"""What kind of sound a recording is, as the ending of a file's name. Pure."""

from __future__ import annotations

from typing import Final

HEAD: Final = 16
"""So many of a file's first bytes tell."""
UNKNOWN: Final = ".bin"

_TYPES: Final = {
    "audio/mpeg": ".mp3",
    "audio/mp3": ".mp3",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/wave": ".wav",
    "audio/vnd.wave": ".wav",
    "audio/ogg": ".ogg",
    "audio/opus": ".ogg",
    "audio/webm": ".webm",
    "audio/flac": ".flac",
    "audio/x-flac": ".flac",
    "audio/mp4": ".m4a",
    "audio/x-m4a": ".m4a",
}


def ending_of(head: bytes, kind: str) -> str:
    """
    Return the ending for a recording: ``.mp3``, ``.wav``, ...; ``.bin`` if nobody knows.

    :param head: its first bytes, which cannot be mistaken; a server's word can.
    :param kind: the media type that the server names.
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return ".wav"
    for start, ending in ((b"ID3", ".mp3"), (b"OggS", ".ogg"), (b"fLaC", ".flac"), (b"\x1aE\xdf\xa3", ".webm")):
        if head.startswith(start):
            return ending
    if head[4:8] == b"ftyp":
        return ".m4a"
    # The sync word of an MPEG frame, of layer III.
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:
        return ".mp3"
    return _TYPES.get(kind.partition(";")[0].strip().lower(), UNKNOWN)
