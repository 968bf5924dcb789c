"""A wait that hears nothing says so: soon, not at once, and not all the time."""

from __future__ import annotations

import pytest

from airflow_provider_bland.calls.sight import PATIENCE, TELL_INTERVAL, Sight


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        # Each look: (seconds, whether it succeeded).
        ([(5, False), (10, False)], []),
        ([(5, False), (10, False), (15, False)], [15]),
        ([(5, False), (20, False), (25, False), (79, False), (80, False)], [20, 80]),
        ([(36, False)], [36]),
        ([(5, True), (10, False), (15, False), (19.9, False), (20, False)], [20]),
        ([(20, False), (25, True), (30, False), (40, False)], [20, 25, 40]),
        ([(5, False), (10, True), (15, True)], []),
        ([(120, False), (240, False), (241, False)], [120, 240]),
    ],
)
def test_when_it_is_said(looks: list[tuple[float, bool]], told: list[float]) -> None:
    sight = Sight(0.0)
    assert [now for now, good in looks if (sight.heard(now) if good else sight.failed("x", now))] == told


def test_within_a_minute_of_silence_it_is_said_whatever_the_pace() -> None:
    for interval in (0.5, 1.0, 5.0, 15.0, 30.0, 44.0):
        sight, now = Sight(0.0), 0.0
        while not sight.failed("x", now := now + interval):
            assert now < 60.0
        assert now <= 60.0


def test_the_words_name_the_moment_and_the_cause() -> None:
    sight = Sight(100.0)
    assert sight.words(150.0, 1_800_000_050.0) == ""
    sight.failed("no such host", 150.0)
    assert sight.words(160.0, 1_800_000_060.0) == (
        "Bland was not reached since 2027-01-15 08:00:00 UTC, 60 s: no such host"
    )
    sight.heard(170.0)
    assert sight.words(180.0, 1_800_000_080.0) == ""
    assert PATIENCE < TELL_INTERVAL
