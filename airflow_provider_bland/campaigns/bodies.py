"""From the campaign's ``call`` and a recipient's row to the body of ``POST /v1/calls``. Pure; renders nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from airflow_provider_bland.api import checks
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.fields import CALL_FIELDS, call_body, is_given
from airflow_provider_bland.api.jsonable import NotJsonError, is_missing, jsonable
from airflow_provider_bland.api.text import shown
from airflow_provider_bland.calls.intents import NAMESPACE
from airflow_provider_bland.campaigns.columns import shown_columns

# What Bland fills by itself (docs.bland.ai/tutorials/dynamic-data, docs.bland.ai/tutorials/pathways).
SYSTEM_VARIABLES: Final = frozenset(
    {
        "phone_number", "timezone", "country", "state", "city", "zip", "call_id", "now", "now_utc", "from", "to",
        "short_from", "short_to", "lastusermessage", "prevnodeprompt", "voice_id",
    }
)  # fmt: skip
_VARIABLE: Final = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
# Never the user's to say: the recipient's, the ledger's, or what rings behind the campaign's back.
_NOT_IN_CALL: Final = {
    "phone_number": "The recipients' numbers come from number_column.",
    "retry": "Bland would ring again by itself, past limits and budget. Use redial and max_attempts.",
    "start_time": "Bland would ring at that time, whatever the hours. Use calling_hours.",
}
# What may bring an analysis of its own.
_OWN_ANALYSIS: Final = ("pathway_id", "persona_id", "agent_id")
_SCRATCH_NUMBER: Final = "+14155550100"


class CallTemplate:
    """
    What every call of a campaign is made from.

    :param call: arguments as of ``SendCallOperator``, the same for all. Its ``{{names}}`` are Bland's variables, filled
        by Bland from ``request_data``; nothing here renders them.
    :param columns: call argument to the column it is taken from.
    :param variables: further ``request_data``, the same for all; a row's own column of the same name wins.
    :raises BlandValidationError: names ``call``, ``columns`` or ``variables`` and the remedy.
    """

    def __init__(
        self, call: Mapping[str, Any], columns: Mapping[str, str] | None = None, variables: Any = None
    ) -> None:
        if not isinstance(call, Mapping):
            raise BlandValidationError("call", f"must be a dict of SendCallOperator's arguments, not {call!r:.80}.")
        self._columns = _checked_columns(columns)
        self._options = call.get("call_options")
        self._call = {name: value for name, value in call.items() if name != "call_options"}
        for name in self._call:
            if name in _NOT_IN_CALL:
                raise BlandValidationError("call", f"must not hold {name!r}. {_NOT_IN_CALL[name]}")
            if name not in CALL_FIELDS:
                raise BlandValidationError(
                    "call",
                    f"holds {name!r}, which is no argument of a call. Known: {', '.join(sorted(CALL_FIELDS))}. What "
                    "Bland has added since goes into call_options.",
                )
            if name in self._columns:
                raise BlandValidationError("columns", f"takes {name!r} from a column, but call holds it too. Drop one.")
        if isinstance(self._options, Mapping) and (wrong := {"retry", "start_time"} & set(self._options)):
            name = min(wrong)
            raise BlandValidationError("call", f"must not hold {name!r} in call_options. {_NOT_IN_CALL[name]}")
        given = checks.checked("variables", checks.json_object, variables) if is_given(variables) else {}
        own = self._call.get("request_data")
        own = checks.checked("call", checks.json_object, own) if is_given(own) else {}
        self._variables: dict[str, Any] = {**own, **given}
        self._shared = self._checked({})
        self._shared.pop("phone_number")
        self._shared.pop("request_data", None)
        self._metadata = self._shared.pop("metadata", None) or {}

    @property
    def wants_analysis(self) -> bool:
        """Whether ``analysis`` is to be waited for."""
        return is_given(self._shared.get("analysis_schema"))

    def check_read(self, argument: str, path: str) -> None:
        """
        See that a place in a call's details will ever hold something.

        :param path: such as ``analysis.opted_out``.
        :raises BlandValidationError: if it is of an analysis that ``call`` does not ask for.
        """
        name, _, rest = path.partition(".")
        if name != "analysis" or "analysis_schema" in self._columns or any(map(self._shared.get, _OWN_ANALYSIS)):
            return
        schema = checks.from_template(self._shared.get("analysis_schema"))
        if not is_given(schema):
            raise BlandValidationError(argument, f"reads {shown(path)}, but call has no analysis_schema to fill it.")
        asked = [*schema, *(schema.get("properties") or ())] if isinstance(schema, Mapping) else []
        if asked and rest and rest.split(".")[0] not in asked:
            raise BlandValidationError(
                argument, f"reads {shown(path)}, but call's analysis_schema asks for {', '.join(map(str, asked))}."
            )

    @property
    def max_duration(self) -> float | None:
        """Minutes after which Bland ends a call, if that is the same for all."""
        found = self._shared.get("max_duration")
        return float(found) if found is not None else None

    @property
    def shared(self) -> dict[str, Any]:
        """What all calls have in common, under Bland's own names."""
        return dict(self._shared)

    def check_variables(self, columns: Sequence[str]) -> None:
        """
        See that everything said in ``{{ }}`` is filled by somebody.

        :param columns: of the recipients that reach Bland as variables: all but the number's.
        :raises BlandValidationError: names what is not.
        """
        known = {name.strip().lower() for name in [*columns, *self._variables]} | SYSTEM_VARIABLES
        known |= {str(name).strip().lower() for name in _answers_of(self._call.get("dynamic_data"))}
        missing = {
            name
            for name in _variables_in([self._call, self._options])
            if name.lower() not in known and not name.lower().startswith("input.")
            # {{customer.name}} reads into an object.
            and re.split(r"[.\[]", name.lower())[0] not in known
        }  # fmt: skip
        if missing:
            names = ", ".join("{{" + name + "}}" for name in sorted(missing))
            raise BlandValidationError(
                "call",
                f"speaks of {names}, but neither a column of the recipients nor variables fills that. Columns: "
                f"{shown_columns(sorted(columns))}; the number itself is {{{{phone_number}}}}. (What Airflow is "
                "to fill belongs into variables={...}, which is templated; call is not.)",
            )

    def column_of(self, field: str) -> str | None:
        """The column that a call argument is taken from."""
        return self._columns.get(field)

    def check_columns(self, columns: Iterable[str]) -> None:
        """
        See that the columns are there.

        :param columns: of the recipients.
        :raises BlandValidationError: names the one that is not.
        """
        there = list(columns)
        for field, column in self._columns.items():
            if column not in there:
                raise BlandValidationError(
                    "columns",
                    f"takes {field!r} from {shown(column)}, which is no column of recipients: {shown_columns(there)}.",
                )

    def problem_of(self, row: Mapping[str, Any]) -> str | None:
        """Why no call could be made from a row, if so; a few words without the row's text."""
        for name, column in self._columns.items():
            value = _cell(row.get(column))
            try:
                if is_given(value):
                    checks.checked(name, CALL_FIELDS[name], value)
            except BlandValidationError:
                return f"column {shown(column)} holds what {name} does not take"
        return None

    def data_of(self, row: Mapping[str, Any], number_column: str) -> dict[str, Any]:
        """
        What a recipient's calls need of its row; plain JSON.

        :raises BlandValidationError: if a column holds what its call argument does not take.
        """
        fields: dict[str, Any] = {}
        for name, column in self._columns.items():
            value = _cell(row.get(column))
            if is_given(value):
                fields[name] = checks.checked(name, CALL_FIELDS[name], value)
        variables = {str(name): _cell(value) for name, value in row.items() if name != number_column}
        return {"variables": variables, "fields": fields} if fields else {"variables": variables}

    def body(self, number: str, data: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
        """
        Body of ``POST /v1/calls``.

        :param number: E.164.
        :param data: of :meth:`data_of`.
        :param ours: what finds the call again; goes into ``metadata`` beside the user's own.
        """
        return {**self._shared, **self.entry(number, data, ours)}

    def entry(self, number: str, data: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
        """The part of a body that is not the same for all: an entry of a batch."""
        fields = dict(data.get("fields") or {})
        metadata = {**self._metadata, **(fields.pop("metadata", None) or {}), NAMESPACE: dict(ours)}
        variables = {**self._variables, **data["variables"], **(fields.pop("request_data", None) or {})}
        wire = {"from" if name == "from_number" else name: value for name, value in fields.items()}
        return {"phone_number": number, "request_data": variables, **wire, "metadata": metadata}

    def _checked(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        # A script may come from a column; then it is any as far as this check goes.
        scripts: dict[str, Any] = {name: "a column's" for name in ("task", "pathway_id") if name in self._columns}
        try:
            body = call_body({**self._call, **scripts, **fields, "phone_number": _SCRATCH_NUMBER}, self._options)
        except BlandValidationError as error:
            raise BlandValidationError("call", f"{error.argument}: {error.problem}") from None
        if NAMESPACE in (body.get("metadata") or {}):
            raise BlandValidationError("call", f"metadata must not have the key {NAMESPACE!r}: the provider writes it.")
        return {name: value for name, value in body.items() if name not in scripts}


def _checked_columns(columns: Any) -> dict[str, str]:
    if not is_given(columns):
        return {}
    found = checks.checked("columns", checks.json_object, columns)
    for name, column in found.items():
        if name in _NOT_IN_CALL:
            raise BlandValidationError("columns", f"must not hold {name!r}. {_NOT_IN_CALL[name]}")
        if name not in CALL_FIELDS:
            known = ", ".join(sorted(set(CALL_FIELDS) - set(_NOT_IN_CALL)))
            raise BlandValidationError("columns", f"holds {name!r}, which is no argument of a call. Known: {known}.")
        if not isinstance(column, str) or not column:
            raise BlandValidationError("columns", f"needs the name of a column for {name!r}, not {shown(column)}.")
    return {str(name): str(column) for name, column in found.items()}


def _variables_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from (match[1] for match in _VARIABLE.finditer(value))
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _variables_in(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _variables_in(entry)


def _answers_of(dynamic_data: Any) -> Iterator[str]:
    dynamic_data = checks.from_template(dynamic_data)
    for request in dynamic_data if isinstance(dynamic_data, list | tuple) else ():
        for answer in request.get("response_data") or () if isinstance(request, Mapping) else ():
            if isinstance(answer, Mapping) and answer.get("name"):
                yield str(answer["name"])


def _cell(value: Any) -> Any:
    """A cell as JSON can carry it: what a reader of tables makes of it may be anything."""
    try:
        return None if is_missing(value) else jsonable(value)
    except NotJsonError:
        return str(value)
