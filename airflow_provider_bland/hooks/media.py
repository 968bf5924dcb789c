"""What a call is made of and leaves behind: voices, pathways, recordings, transcripts put right, webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api import resources
from airflow_provider_bland.api.audio import HEAD, ending_of
from airflow_provider_bland.api.endpoints import BlandRequest, objects_in
from airflow_provider_bland.api.errors import (
    BlandConnectionError,
    BlandError,
    BlandRateLimitError,
    BlandServerError,
)
from airflow_provider_bland.api.retries import MAX_ATTEMPTS, backoff
from airflow_provider_bland.hooks.base import HookBase
from airflow_provider_bland.tasks.files import replacing, storage_path

if TYPE_CHECKING:
    from airflow_provider_bland.tasks.sdk import ObjectStoragePath

_AUDIO_SECONDS: Final = 900.0
_ANY: Final = ".*"


class MediaMethods(HookBase):
    """Voices, pathways, recordings, corrected transcripts, post-call webhooks."""

    def list_voices(self) -> list[dict[str, Any]]:
        """
        List the voices: ``GET /v1/voices``.

        :return: ``[{"id", "name", "description", "tags", ...}]``; name or id goes into ``voice``.
        """
        return objects_in(self._send(resources.list_voices())["voices"])

    def get_voice(self, voice_id: str) -> dict[str, Any]:
        """
        Read a voice: ``GET /v1/voices/{voice_id}``.

        :param voice_id: id, or name of a curated voice such as ``maya``.
        :return: as :meth:`list_voices`.
        :raises BlandNotFoundError: no such voice for this key.
        """
        return dict(self._send(resources.get_voice(voice_id))["voice"])

    def list_pathways(self) -> list[dict[str, Any]]:
        """
        List the conversational pathways: ``GET /v1/pathway``.

        :return: ``[{"name", "description", "nodes", "edges", ...}]``.
        """
        reply = self._send(resources.list_pathways())
        # The page describes a list, its example is one object; some keep it under "pathways".
        if isinstance(reply, dict):
            lists = [reply[name] for name in ("pathways", "data") if isinstance(reply.get(name), list)]
            reply = lists[0] if lists else [reply]
        return objects_in(reply)

    def get_pathway(self, pathway_id: str) -> dict[str, Any]:
        """
        Read a pathway: ``GET /v1/pathway/{pathway_id}``.

        :param pathway_id: id of the pathway.
        :return: ``{"name", "description", "nodes", "edges"}``.
        :raises BlandNotFoundError: no such pathway for this key.
        """
        return dict(self._send(resources.get_pathway(pathway_id)))

    def get_corrected_transcript(self, call_id: str) -> list[dict[str, Any]]:
        """
        Read a call's transcript as it was put right after the call: ``GET /v1/calls/{call_id}/correct``.

        :param call_id: id of the call.
        :return: ``[{"start", "end", "text", "speaker", "speaker_label", "confidence"}]``, times in seconds.
        """
        return objects_in(self._send(resources.corrected_transcript(call_id))["corrected"])

    def get_recording(self, call_id: str, path: str, media_type: str = "audio/mpeg") -> dict[str, Any]:
        """
        Save a call's recording as a file, which is whole or not there: ``GET /v1/recordings/{call_id}``.

        :param call_id: id of the call.
        :param path: absolute path of the file, or a URL of any storage that Airflow reaches, such as
            ``s3://my_conn@bucket/calls/x.mp3``. A name that ends in ``.*`` gets the ending of what comes: ``.mp3``,
            ``.wav``, ...
        :param media_type: ``audio/mpeg`` or ``audio/wav``.
        :return: ``{"path", "bytes", "content_type"}``; the type is Bland's word, which need not be what was asked for.
        :raises BlandNotFoundError: the call has no recording.
        """
        request = resources.get_recording(call_id, media_type)
        target = storage_path("path", path)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return self._pour(request, target)
            except (BlandServerError, BlandConnectionError, BlandRateLimitError) as error:
                if attempt == MAX_ATTEMPTS:
                    raise
                self.log.warning("%s Trying again.", error)
                self.pause(backoff(attempt, 0.5))
        raise AssertionError("unreachable")

    def _pour(self, request: BlandRequest, target: ObjectStoragePath) -> dict[str, Any]:
        trouble: list[Exception] = []
        head, found = bytearray(), dict[str, Any]()

        def named() -> ObjectStoragePath:
            if plain == target.name:
                return target
            return target.parent / (plain + ending_of(bytes(head), str(found.get("content_type", ""))))

        plain = target.name.removesuffix(_ANY) or target.name
        with replacing(target.parent / plain, named=named) as handle:

            def write(piece: bytes) -> None:
                try:
                    head.extend(piece[: HEAD - len(head)])
                    handle.write(piece)
                except Exception as error:
                    # The storage's, not Bland's; otherwise it would pass for a broken connection.
                    trouble.append(error)
                    raise

            try:
                timeout = (self.settings.connect_timeout, _AUDIO_SECONDS)
                found |= self.get_conn().send(request, max_attempts=1, timeout=timeout, sink=write)
            except BlandError:
                if trouble:
                    raise trouble[0] from None
                raise
        return {"path": str(named()), **found}

    def get_webhook(self, call_id: str) -> dict[str, Any]:
        """
        Read the webhook that was sent after a call, and how each attempt went: ``GET /v1/postcall/webhooks/{call_id}``.

        :param call_id: id of the call.
        :return: ``{"payload", "url", "created_at", "call_id", "metadata": [{"sent_at", "response_code", ...}]}``.
        :raises BlandNotFoundError: none was sent.
        """
        return dict(self._send(resources.get_webhook(call_id))["data"])

    def resend_webhooks(self, call_ids: list[str]) -> None:
        """
        Have the webhooks of calls sent again, to where they went before: ``POST /v1/postcall/webhooks/resend``.

        :param call_ids: ids of the calls.
        :raises BlandAmbiguousError: the reply was lost; :meth:`get_webhook` shows what was sent.
        """
        self._send(resources.resend_webhooks(call_ids))
