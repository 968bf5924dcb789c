"""The ending of a recording's name: by its bytes, else by the server's word."""

from __future__ import annotations

import pytest

from airflow_provider_bland.api.audio import ending_of

WAV = b"RIFF\x24\x08\x00\x00WAVEfmt "
MP3 = b"\xff\xfb\x90\x64" + bytes(12)


@pytest.mark.parametrize(
    ("head", "kind", "ending"),
    [
        (WAV, "audio/mpeg", ".wav"),
        (MP3, "audio/wav", ".mp3"),
        (b"\xff\xf3\x48\xc0" + bytes(12), "", ".mp3"),
        (b"ID3\x04" + bytes(12), "application/octet-stream", ".mp3"),
        (b"OggS" + bytes(12), "", ".ogg"),
        (b"fLaC" + bytes(12), "", ".flac"),
        (b"\x1aE\xdf\xa3" + bytes(12), "", ".webm"),
        (b"\x00\x00\x00\x20ftypM4A ", "", ".m4a"),
        # Bytes that tell nothing: then the server is believed.
        (bytes(range(16)), "audio/mpeg", ".mp3"),
        (bytes(range(16)), "Audio/X-WAV; rate=8000", ".wav"),
        (b"", "audio/mpeg", ".mp3"),
        (b"\xff", "", ".bin"),
        # AAC (ADTS) has the same sync word, and layer 0.
        (b"\xff\xf1" + bytes(14), "", ".bin"),
        (bytes(range(16)), "application/../../x", ".bin"),
        (b"RIFF\x00\x00\x00\x00AVI ", "", ".bin"),
    ],
)
def test_the_bytes_tell_first(head: bytes, kind: str, ending: str) -> None:
    assert ending_of(head, kind) == ending
