"""Where the callee of a single call may be."""

from __future__ import annotations

import pytest

from airflow_provider_bland.operators.gate import callee_zones


@pytest.mark.parametrize(
    ("number", "zone", "zones"),
    [
        ("+14155550100", None, ("America/Los_Angeles",)),
        ("+14155550100", "America/Denver", ("America/Denver", "America/Los_Angeles")),
        ("+12195550100", None, ("America/Chicago", "America/New_York")),
        ("+18005550100", None, ()),
        ("+18005550100", "Europe/Oslo", ("Europe/Oslo",)),
        ("+80012345678", None, ()),
        # In no plan (kept for British films): it tells nothing.
        ("+447700900123", None, ()),
        ("+447700900123", "Europe/London", ("Europe/London",)),
    ],
)
def test_all_evidence_counts(number, zone, zones):
    assert callee_zones(number, zone) == zones
