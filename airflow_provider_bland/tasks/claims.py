"""Whether a directory holds the export that a run is about to go on with. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.calls.rows import SCHEMA_VERSION

_ELSEWHERE = "Choose another path."


def refuse_another(path: str, found: Any, ours: Mapping[str, Any]) -> None:
    """
    Compare what an export said of itself with what a run is about to do.

    :param path: the file in which it said so.
    :param found: what it said.
    :param ours: arguments that must stay the same from run to run, and ``schema_version``. ``hash_salt`` is a mark of
        it; an export that did not say its own is not held against it.
    :raises BlandValidationError: names the argument that differs.
    """
    if not isinstance(found, Mapping) or not isinstance(found.get("schema_version"), int):
        raise BlandValidationError("path", f"{path} is not what this operator writes. {_ELSEWHERE}")
    if found["schema_version"] > SCHEMA_VERSION:
        raise BlandValidationError(
            "path",
            f"its files have schema_version {found['schema_version']}, and this provider knows {SCHEMA_VERSION}. "
            "Update airflow-provider-bland, or choose another path.",
        )
    where = path.rpartition("/")[0]
    for name, value in ours.items():
        if name == "hash_salt":
            if found.get(name, value) != value:
                # Neither is shown.
                raise BlandValidationError(
                    name, f"is not the one of {where}: what was hashed there could not be joined by. {_ELSEWHERE}"
                )
        elif name != "schema_version" and found.get(name) != value:
            raise BlandValidationError(
                name, f"is {value!r}, but {where} was exported with {found.get(name)!r}. {_ELSEWHERE}"
            )


def refuse_fewer(root: str, there: Collection[str], tables: Collection[str]) -> None:
    """
    Refuse a run that would bring only some of an export's tables up to date.

    :param root: the export's directory.
    :param there: its tables.
    :param tables: those of the run.
    :raises BlandValidationError: names the one that is left out.
    """
    for name in sorted(set(there) - set(tables)):
        raise BlandValidationError(
            "tables", f"is {list(tables)!r}, but {root} has {name} too. Name it. Or: {_ELSEWHERE}"
        )
