"""Everything about the sandbox that can be set, at the start or while it runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass
class Settings:
    """
    Settings of one sandbox. Every field can be changed at run time by ``POST /sandbox/settings``.

    Several of them exist because Bland's documentation is silent or contradicts itself; their defaults follow the
    older, more widely deployed behaviour.

    :param speed: how many times faster than life calls run.
    :param seed: decides, with the phone number, everything that chance decides.
    :param clock_skew: seconds by which Bland's clock is ahead of ours.
    :param list_lag: real seconds by which the list of calls lags behind the details of a call.
    :param webhook_secret: signs webhooks; empty means unsigned.
    :param allow_http_webhooks: let ``http://127.0.0.1`` and ``http://localhost`` pass as webhook addresses.
    :param strict_properties: refuse unknown fields of a call with "Additional properties are not allowed".
    :param start_time_min_lead: seconds a ``start_time`` must lie ahead; ``None``: a past one dials at once.
    :param scale_start_time: the wait for ``start_time`` passes at ``speed``, like everything else.
    :param rows_with_metadata: rows of the list carry the other fields of a call (``metadata`` among them) as well.
    :param answered_by_opt_in: ``answered_by`` stays null unless ``answered_by_enabled`` was asked for.
    :param sort_by_updated_supported: false means that the list ignores ``sort_by=updated_at``.
    :param end_date_exclusive: a date-only ``end_date`` leaves its own day out, as some have observed.
    :param errors_completed: calls that end in one of the ``*_error`` states have ``completed`` true.
    :param complete_word: the final ``queue_status``: ``complete``, or ``completed`` as in one published example.
    :param long_error_messages: the message of "Invalid parameters" repeats the errors, as newer pages show.
    :param stop_error_status: HTTP status of a stop that found no live call; Bland's is undocumented.
    :param same_number_seconds: simulated seconds in which a number may be called once.
    """

    speed: float = 1.0
    seed: int = 0
    clock_skew: float = 0.0
    list_lag: float = 0.0
    webhook_secret: str = "sandbox-webhook-secret"  # noqa: S105 - a default that everybody may know
    allow_http_webhooks: bool = False
    strict_properties: bool = False
    start_time_min_lead: float | None = None
    scale_start_time: bool = True
    rows_with_metadata: bool = False
    answered_by_opt_in: bool = False
    sort_by_updated_supported: bool = True
    end_date_exclusive: bool = False
    errors_completed: bool = True
    complete_word: str = "complete"
    long_error_messages: bool = False
    stop_error_status: int = 400
    same_number_seconds: float = 10.0

    def change(self, changes: dict[str, Any]) -> None:
        """
        Set some fields.

        :param changes: names and new values.
        :raises ValueError: for an unknown name or a value of the wrong kind; nothing is changed then.
        """
        known = {field.name: getattr(Settings, field.name) for field in fields(self)}
        checked: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"Unknown setting {name!r}. Known: {', '.join(sorted(known))}.")
            checked[name] = _fitting(name, value, known[name])
        if checked.get("speed", 1.0) <= 0:
            raise ValueError("speed must be greater than 0.")
        for name, value in checked.items():
            setattr(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings for the control API, without the secret."""
        shown = asdict(self)
        shown["webhook_secret"] = "***" if self.webhook_secret else ""
        return shown


def _fitting(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false.")
        return value
    if isinstance(default, str):
        if not isinstance(value, str):
            raise ValueError(f"{name} must be a string.")
        return value
    if value is None and default is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number.")
    return int(value) if isinstance(default, int) else float(value)
