"""Everything about the sandbox that can be set, at the start or while it runs."""

from __future__ import annotations

from dataclasses import Field, asdict, dataclass, field, fields
from typing import Any, Final

_TEN_YEARS: Final = 315_360_000.0


def _number(default: float | None, low: float, high: float) -> Any:
    return field(default=default, metadata={"range": (low, high)})


def _word(default: str, *words: str) -> Any:
    return field(default=default, metadata={"words": words})


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
    :param updates_in_utc: the list takes no account of ``timezone`` in days of change; Bland does not say if it does.
    :param end_date_exclusive: a date-only ``end_date`` leaves its own day out, as some have observed, and so does
        ``update_end_date``.
    :param errors_completed: calls that end in one of the ``*_error`` states have ``completed`` true.
    :param complete_word: the final ``queue_status``: ``complete``, or ``completed`` as in one published example.
    :param long_error_messages: the message of "Invalid parameters" repeats the errors, as newer pages show.
    :param stop_error_status: HTTP status of a stop that found no live call; Bland's is undocumented.
    :param same_number_seconds: simulated seconds in which a number may be called once.
    :param concurrent_limit: how many calls the plan lets be under way; ``None``: any number.
    :param hourly_limit: how many calls may be dialled in an hour of simulated time; ``None``: any number.
    :param daily_limit: how many calls may be dialled in a day (UTC); ``None``: any number.
    :param over_limit: what becomes of single calls above the limits: ``reject`` them (429), or ``queue`` them.
    :param limit_message: the message of that 429.
    :param opt_out_rate: the share of ordinary callees who, when they answer, want no more calls.
    :param call_later_rate: the share of those who want to be called at another time.
    :param batch_chunk: how many calls of a batch are dispatched before the next ones.
    :param batch_exit_seconds: simulated seconds after which a batch is given up.
    :param batch_exit_cancels: calls that were not dialled then are cancelled; false: they still go out.
    """

    speed: float = _number(1.0, 1e-3, 1e6)
    seed: int = _number(0, -(2**63), 2**63)
    clock_skew: float = _number(0.0, -_TEN_YEARS, _TEN_YEARS)
    list_lag: float = _number(0.0, 0, _TEN_YEARS)
    webhook_secret: str = "sandbox-webhook-secret"  # noqa: S105 - a default that everybody may know
    allow_http_webhooks: bool = False
    strict_properties: bool = False
    start_time_min_lead: float | None = _number(None, 0, _TEN_YEARS)
    scale_start_time: bool = True
    rows_with_metadata: bool = False
    answered_by_opt_in: bool = False
    sort_by_updated_supported: bool = True
    updates_in_utc: bool = False
    end_date_exclusive: bool = False
    errors_completed: bool = True
    complete_word: str = _word("complete", "complete", "completed")
    long_error_messages: bool = False
    stop_error_status: int = _number(400, 200, 599)
    same_number_seconds: float = _number(10.0, 0, _TEN_YEARS)
    concurrent_limit: int | None = _number(None, 0, 1e9)
    hourly_limit: int | None = _number(None, 0, 1e9)
    daily_limit: int | None = _number(None, 0, 1e9)
    over_limit: str = _word("reject", "reject", "queue")
    limit_message: str = "Rate limit exceeded"
    opt_out_rate: float = _number(0.0, 0, 1)
    call_later_rate: float = _number(0.0, 0, 1)
    batch_chunk: int = _number(1000, 1, 1e9)
    batch_exit_seconds: float = _number(86_400.0, 1, _TEN_YEARS)
    batch_exit_cancels: bool = True

    def __post_init__(self) -> None:
        """Check the values; see ``change``."""
        self.change(vars(self).copy())

    def change(self, changes: dict[str, Any]) -> None:
        """
        Set some fields.

        :param changes: names and new values.
        :raises ValueError: for an unknown name or a value that does not fit; nothing is changed then.
        """
        known = {field.name: field for field in fields(self)}
        unknown = set(changes) - set(known)
        if unknown:
            raise ValueError(f"Unknown settings: {', '.join(sorted(unknown))}. Known: {', '.join(sorted(known))}.")
        checked = {name: _fitting(known[name], value) for name, value in changes.items()}
        for name, value in checked.items():
            setattr(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings for the control API, without the secret."""
        shown = asdict(self)
        shown["webhook_secret"] = "***" if self.webhook_secret else ""
        return shown


def _fitting(setting: Field[Any], value: Any) -> Any:
    """Return a value in the type of a setting."""
    name, kind = setting.name, str(setting.type)
    if kind == "bool":
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false.")
        return value
    if kind == "str":
        words = setting.metadata.get("words")
        if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueError(f"{name} must be a string, without half characters.")
        if words and value not in words:
            raise ValueError(f"{name} must be one of: {', '.join(words)}.")
        return value
    if value is None and kind.endswith("None"):
        return None
    low, high = setting.metadata["range"]
    # NaN fails every comparison.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}.")
    if kind.startswith("int"):
        if value != int(value):
            raise ValueError(f"{name} must be a whole number.")
        return int(value)
    return float(value)
