"""Recordings become files that are whole or not there, whatever the connection and the storage do."""

from __future__ import annotations

import io
import json
import threading
import wave
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from helpers import Control

from airflow_provider_bland.api import errors
from airflow_provider_bland.hooks.bland import BlandHook

HUMAN = "+14155550100"
SOUND = bytes(range(256)) * 1000

Answer = Callable[[BaseHTTPRequestHandler], None]


def answer(content: bytes, kind: str, *, status: int = 200, length: int | None = None, **headers: str) -> Answer:
    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("content-type", kind)
        handler.send_header("content-length", str(len(content) if length is None else length))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return write


WHOLE = answer(SOUND, "audio/mpeg")
BROKEN = answer(SOUND[:1000], "audio/mpeg", length=len(SOUND))


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Any]]]:
    """A Bland that gives these answers in turn, the last one for ever; returns what it was asked."""
    servers: list[ThreadingHTTPServer] = []

    def start(*answers: Answer) -> list[Any]:
        turns, asked = list(answers), []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append((self.path, dict(self.headers.items())))
                self.close_connection = True
                (turns.pop(0) if len(turns) > 1 else turns[0])(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        host = f"http://127.0.0.1:{server.server_port}"
        connection = {"conn_type": "bland", "host": host, "password": "a-key-of-ours"}
        monkeypatch.setenv("AIRFLOW_CONN_BLAND_DEFAULT", json.dumps(connection))
        return asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def hook() -> BlandHook:
    made = BlandHook()
    made.pause = lambda seconds: None
    return made


def test_a_recording_of_the_sandbox_can_be_listened_to(bland: Control, tmp_path: Path) -> None:
    call_id = BlandHook().send_call(HUMAN, "Say hi.", record=True)["call_id"]
    bland.settled(call_id)
    target = tmp_path / "deep" / "call.wav"
    saved = BlandHook().get_recording(call_id, str(target), "audio/wav")
    assert saved["bytes"] == target.stat().st_size
    assert saved["content_type"].startswith("audio/")
    with wave.open(io.BytesIO(target.read_bytes())) as sound:
        assert sound.getnframes() > 0


def test_a_call_without_a_recording_leaves_no_file(bland: Control, tmp_path: Path) -> None:
    call_id = BlandHook().send_call(HUMAN, "Say hi.")["call_id"]
    bland.settled(call_id)
    with pytest.raises(errors.BlandNotFoundError):
        BlandHook().get_recording(call_id, str(tmp_path / "call.wav"), "audio/wav")
    assert list(tmp_path.iterdir()) == []


def test_the_format_is_asked_for_in_both_ways_and_the_key_goes_along(serve: Any, tmp_path: Path) -> None:
    asked = serve(WHOLE)
    saved = hook().get_recording("c-1", str(tmp_path / "c.mp3"))
    assert saved == {"path": str(tmp_path / "c.mp3"), "bytes": len(SOUND), "content_type": "audio/mpeg"}
    assert (tmp_path / "c.mp3").read_bytes() == SOUND
    [(path, headers)] = asked
    assert path == "/v1/recordings/c-1"
    headers = {name.lower(): value for name, value in headers.items()}
    assert (headers["accept"], headers["content-type"], headers["authorization"]) == (
        "audio/mpeg", "audio/mpeg", "a-key-of-ours",
    )  # fmt: skip


def test_a_broken_connection_is_made_good_and_nothing_of_the_first_attempt_stays(serve: Any, tmp_path: Path) -> None:
    asked = serve(BROKEN, BROKEN, WHOLE)
    hook().get_recording("c-1", str(tmp_path / "c.mp3"))
    assert (tmp_path / "c.mp3").read_bytes() == SOUND
    assert len(asked) == 3


WAV = b"RIFF\x24\x08\x00\x00WAVEfmt " + SOUND


@pytest.mark.parametrize(
    ("reply", "ending"),
    [
        (WHOLE, ".mp3"),
        (answer(WAV, "audio/mpeg"), ".wav"),
        (answer(SOUND, "audio/x-wav"), ".wav"),
        (answer(SOUND, "binary/octet-stream"), ".bin"),
    ],
)
def test_a_name_with_any_ending_gets_that_of_what_came(serve: Any, tmp_path: Path, reply: Answer, ending: str) -> None:
    serve(BROKEN, reply)
    saved = hook().get_recording("c-1", str(tmp_path / "c [1].x.*"))
    assert saved["path"] == str(tmp_path / f"c [1].x{ending}")
    assert [path.name for path in tmp_path.iterdir()] == [f"c [1].x{ending}"]


BAD: dict[str, tuple[Answer, type[Exception]]] = {
    "always broken": (BROKEN, errors.BlandServerError),
    "empty": (answer(b"", "audio/mpeg"), errors.BlandServerError),
    "an error inside a 200": (
        answer(b'{"data": null, "errors": [{"error": "CALL_RECORDING_NOT_FOUND", "message": "not found"}]}',
               "application/json"),
        errors.BlandError,
    ),
    "a page of a firewall": (answer(b"<html>Blocked</html>", "text/html"), errors.BlandServerError),
    "JSON instead of sound": (answer(b'{"status": "success"}', "application/json"), errors.BlandServerError),
    "packed": (answer(SOUND, "audio/mpeg", content_encoding="gzip"), errors.BlandServerError),
    "a redirect": (answer(b"", "audio/mpeg", status=302, location="https://evil.example/"), errors.BlandError),
    "401": (answer(b'{"message": "Unauthorized"}', "application/json", status=401), errors.BlandAuthError),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_recording_leaves_no_file_and_keeps_an_older_one(serve: Any, tmp_path: Path, what: str) -> None:
    reply, error = BAD[what]
    serve(reply)
    older = tmp_path / "older.mp3"
    older.write_bytes(b"older")
    for target in (older, tmp_path / "new.mp3"):
        with pytest.raises(error):
            hook().get_recording("c-1", str(target))
    assert [path.name for path in tmp_path.iterdir()] == ["older.mp3"]
    assert older.read_bytes() == b"older"


def test_a_recording_that_does_not_end_is_left(serve: Any, tmp_path: Path, mocker: Any) -> None:
    mocker.patch("airflow_provider_bland.api.resources.MOST_AUDIO", 100_000)
    asked = serve(WHOLE)
    with pytest.raises(errors.BlandServerError, match="larger"):
        hook().get_recording("c-1", str(tmp_path / "c.mp3"))
    assert list(tmp_path.iterdir()) == []
    assert asked


def test_a_full_disk_is_not_blamed_on_bland(serve: Any, tmp_path: Path, mocker: Any) -> None:
    asked = serve(WHOLE)
    full = mocker.patch("airflow_provider_bland.hooks.media.replacing")
    full.return_value.__enter__.return_value.write.side_effect = OSError(28, "No space left on device")
    full.return_value.__exit__.return_value = False
    with pytest.raises(OSError, match="No space left"):
        hook().get_recording("c-1", str(tmp_path / "c.mp3"))
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [(("../x", "/tmp/x"), "call_id"), (("c-1", "x.mp3"), "path"), (("c-1", "nowhere://x/y"), "path"),
     (("c-1", "/tmp/x", "audio/ogg"), "media_type"), (("c-1", ""), "path")],
)  # fmt: skip
def test_nonsense_is_refused_before_anything_is_asked(serve: Any, arguments: Any, argument: str) -> None:
    asked = serve(WHOLE)
    with pytest.raises(errors.BlandValidationError, match=argument):
        hook().get_recording(*arguments)
    assert asked == []
