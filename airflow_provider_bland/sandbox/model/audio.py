"""Recordings: as long as the call, with a low tone where the callee speaks and a higher one where the agent does."""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence
from typing import Final

from airflow_provider_bland.sandbox.model.personas import Utterance, ends_of

RATE: Final = 8000
LONGEST_SECONDS: Final = 3600.0
_WORDS_PER_SECOND: Final = 2.5
# A period of each tone; square waves, as phones of old had them.
_TONES: Final = {"user": 40, "assistant": 20}
_LOUD: Final = 2000
# An MPEG-2 frame of layer III: 32 kbit/s, 16 kHz, 576 samples. What follows the header is zero, which is silence.
_FRAME_BYTES: Final = 144
_FRAME_SECONDS: Final = 576 / 16000
_HEADERS: Final = {1: b"\xff\xf3\x48\xc0", 2: b"\xff\xf3\x48\x00"}


def wav(lines: Sequence[Utterance], seconds: float, channels: int) -> bytes:
    """
    Return a recording as a WAV file, with 16 bits.

    :param lines: who says what when.
    :param seconds: how long it lasts.
    :param channels: 1, or 2 for the callee on the left and the agent on the right.
    """
    frames = int(min(seconds, LONGEST_SECONDS) * RATE)
    tracks = {speaker: bytearray(2 * frames) for speaker in _TONES}
    for line, end in zip(lines, ends_of(lines, seconds), strict=True):
        length = min(end - line.offset, len(line.text.split()) / _WORDS_PER_SECOND)
        start, count = int(line.offset * RATE), int(max(0.0, length) * RATE)
        tone = _tone(_TONES[line.speaker], min(count, max(0, frames - start)))
        tracks[line.speaker][2 * start : 2 * start + len(tone)] = tone
    if channels == 2:
        sound = bytearray(4 * frames)
        for place, speaker in enumerate(_TONES):
            for byte in range(2):
                sound[2 * place + byte :: 4] = tracks[speaker][byte::2]
    else:
        # They do not speak at once: what one says has silence where the other does.
        both = int.from_bytes(tracks["user"], "little") | int.from_bytes(tracks["assistant"], "little")
        sound = bytearray(both.to_bytes(2 * frames, "little"))
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(sound))
    return held.getvalue()


def _tone(period: int, frames: int) -> bytes:
    high, low = _LOUD.to_bytes(2, "little"), (-_LOUD).to_bytes(2, "little", signed=True)
    wave_form = high * (period // 2) + low * (period // 2)
    return (wave_form * (frames // period + 1))[: 2 * frames]


def mp3(seconds: float, channels: int) -> bytes:
    """Return a recording as an MP3 file: silence, since nothing here can encode more."""
    frame = _HEADERS[channels] + bytes(_FRAME_BYTES - 4)
    return frame * max(1, round(min(seconds, LONGEST_SECONDS) / _FRAME_SECONDS))
