"""The words Bland knows in a request for a call (docs.bland.ai/api-v1/post/calls, old and new)."""

from __future__ import annotations

from typing import Final


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


def _lower(*lines: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _words(*lines))


BACKGROUND_TRACKS: Final = ("office", "cafe", "restaurant", "none")
VOICEMAIL_ACTIONS: Final = ("hangup", "leave_message", "ignore")
WEBHOOK_EVENTS: Final = _words("queue call latency webhook tool dynamic_data citations evals post_transfer_transcript")
INTERRUPTIBILITY: Final = (0, 1, 2, 3, 4)
# In lower case: codes are taken in any.
LANGUAGES: Final = _lower(
    "en en-US en-GB en-AU en-NZ en-IN zh zh-CN zh-Hans zh-TW zh-Hant es es-419 fr fr-CA de el hi hi-Latn ja ko ko-KR",
    "pt pt-BR pt-PT it nl pl ru sv sv-SE da da-DK fi id ms tr uk bg cs ro sk hu vi no auto babel fluent babel-en",
    "babel-es babel-fr babel-de",
    # Web agents and old examples use these.
    "ENG ESP FRE POL GER ITA PBR POR",
)
FIELDS: Final = _words(
    "phone_number task pathway_id start_node_id voice background_track first_sentence wait_for_greeting",
    "block_interruptions interruption_threshold model temperature keywords pronunciation_guide",
    "transfer_phone_number transfer_list language timezone request_data tools dynamic_data start_time",
    "voicemail_message voicemail_action retry max_duration record from webhook webhook_events metadata",
    "summary_prompt analysis_prompt analysis_schema answered_by_enabled amd voice_id reduce_latency",
    "pathway_version persona_id interruptibility dialing_strategy noise_cancellation voicemail ivr_mode",
    "citation_schema_ids dispositions disposition_ids post_call_evals stream_post_transfer_transcript",
    "ignore_button_press precall_dtmf_sequence guard_rails redaction external_id agent_id agent_version campaign_id",
    # Gone from the pages, seemingly still accepted.
    "dispatch_hours analysis_preset local_dialing geospatial_dialing voicemail_sms sensitive_voicemail_detection",
    "available_tags resumption_speed voice_preset_id citation_schema_id version_number wait batch_id",
)
BOOLEANS: Final = (
    "wait_for_greeting",
    "answered_by_enabled",
    "block_interruptions",
    "sensitive_voicemail_detection",
    "ignore_button_press",
)
EMERGENCY_NUMBERS: Final = _words("911 112 999 988 +1911 +1988 +112 +999")
