"""The button that leads from a task to its call in Bland's dashboard."""

from __future__ import annotations

from typing import Any, Final

from airflow_provider_bland.tasks.sdk import BaseOperatorLink, XCom

CALL_URL_KEY: Final = "bland_call_url"
# Seen in other people's code only; Bland's docs name just the list (docs.bland.ai/quickstart).
_CALL_URL: Final = "https://app.bland.ai/dashboard/call-logs/{call_id}"


class BlandCallLink(BaseOperatorLink):
    """Links to a call's log. Present as soon as the call has an id, so while the task waits too."""

    name = "Bland call"

    @property
    def xcom_key(self) -> str:
        """The XCom that holds the address; Airflow 3's server reads it without running our code."""
        return CALL_URL_KEY

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Address of the call, empty (no button) if there is none."""
        # On a worker, the operator that has just run knows; asking for an XCom that is not there would log an error.
        known = getattr(operator, "call_url", None)
        return known if known is not None else XCom.get_value(key=CALL_URL_KEY, ti_key=ti_key) or ""

    @staticmethod
    def url_of(call_id: str) -> str:
        """Address of a call in the dashboard."""
        return _CALL_URL.format(call_id=call_id)
