"""
Judge what happened in a campaign, by brute force: every ring against every rule, read from a clock on the wall.

Shares no code with `airflow_provider_bland.campaigns`, but for the words of the buckets.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from campaign_story import NO_ZONE, PEOPLE, TOLL_FREE, UNREADABLE, Call, Story, Wanted

# Moments are sums of floats.
EPS = 1e-3
OUTCOMES = ("answered", "voicemail", "no-answer", "busy", "canceled", "failed", "unknown")


class BrokenRuleError(AssertionError):
    """Somebody was rung who should not have been, or the books do not balance."""


def require(good: bool, rule: str, *facts: object) -> None:
    """Complain unless ``good``."""
    if not good:
        raise BrokenRuleError(f"{rule}: {', '.join(map(repr, facts))}")


@lru_cache(maxsize=400_000)
def on_the_wall(minute: int, zone: str) -> tuple[int, int, int]:
    """Weekday, date as a number, and minute of the day there."""
    there = datetime.fromtimestamp(minute * 60, UTC).astimezone(ZoneInfo(zone))
    return there.weekday(), there.toordinal(), there.hour * 60 + there.minute


def is_inside(wanted: Wanted, minute: int, zone: str) -> bool:
    """Whether this whole minute is inside the hours there."""
    weekday, ordinal, clock = on_the_wall(minute, zone)
    if ordinal in wanted.closed:
        return False
    return any(start <= clock < end for start, end in wanted.week.get(weekday, ()))


def may_ring(wanted: Wanted, at: float, zones: Iterable[str]) -> bool:
    """Whether it is inside the hours in every zone, now and for ``stop_before`` from now."""
    first, last = int(at // 60), int((at + wanted.stop_minutes * 60) // 60)
    return all(is_inside(wanted, minute, zone) for zone in zones for minute in range(first, last + 1))


def opens_within(wanted: Wanted, since: float, until: float, zones: tuple[str, ...]) -> bool:
    """Whether there is a moment at which somebody may be rung. Hours and zones change on quarters of an hour."""
    at = since
    while at < until:
        if may_ring(wanted, at, zones):
            return True
        at = (at // 900 + 1) * 900
    return False


def check(story: Story) -> None:
    """
    Judge a campaign.

    :raises BrokenRuleError: for the first rule that was broken.
    """
    calls = sorted(story.calls, key=lambda call: call.at)
    _check_each_ring(story, calls)
    _check_each_person(story, calls)
    _check_limits(story, calls)
    _check_money(story, calls)
    _check_pace(story, calls)
    _check_breaker(story)
    _check_buckets(story, calls)
    _check_nobody_is_forgotten(story, calls)


def _check_each_ring(story: Story, calls: list[Call]) -> None:
    wanted = story.wanted
    for call in calls:
        row = story.rows[call.row]
        require(row["number"] == call.number, "another number was rung", row, call)
        zones = {*PEOPLE[call.number], *([row["zone"]] if row["zone"] else [])}
        require(set(call.zones) == zones, "other zones were looked at", call, zones)
        require(may_ring(wanted, call.at, zones), "rung outside the hours", call)
        require(call.at < wanted.ends + EPS, "rung after the end", call)
        require(call.at >= wanted.start, "rung before the start", call)
        listed = [numbers for since, numbers in story.suppressed if since <= call.round][-1]
        require(call.number not in listed, "rung although suppressed", call)
        require(story.stopped is None or call.at <= story.stopped + EPS, "rung after the stop", call, story.stopped)
    for _, decision, _, _ in story.decisions:
        rows = Counter(ring.recipient.row for ring in decision.ring)
        require(not rows or max(rows.values()) == 1, "twice in a round", rows)


def _check_each_person(story: Story, calls: list[Call]) -> None:
    wanted = story.wanted
    for number in {call.number for call in calls}:
        rings = [call for call in calls if call.number == number]
        require(len({call.row for call in rings}) == 1, "one number, two recipients", rings)
        require(len(rings) <= wanted.max_attempts, "more than max_attempts", rings)
        for last, following in itertools.pairwise(rings):
            require(following.at - last.at >= 10 - EPS, "twice within ten seconds", last, following)
            require(not last.lost, "rung after a lost reply", last, following)
            require(last.told is not None and last.told <= following.at, "rung while under way", last, following)
            require(not last.never_again, "rung after an opt-out", last, following)
            over = last.over or 0.0
            if last.wish is not None and last.wish > over:
                require(following.at >= last.wish - EPS, "called back too early", last, following)
            else:
                require(last.outcome in wanted.redial, "rung again without a rule", last, following)
                delay = wanted.redial[last.outcome or ""]
                require(following.at >= over + delay - EPS, "rung again too early", last, following, delay)
        for at, row, _ in story.refused:
            require(all(call.row != row or call.at <= at for call in rings), "rung after a refusal", row, rings)


def _check_limits(story: Story, calls: list[Call]) -> None:
    wanted = story.wanted
    for call in calls:
        before = [other.at for other in calls if other.number == call.number and other.at < call.at]
        before += wanted.history.get(call.number, [])
        before += [at for known, number, at in story.others if number == call.number and known <= call.round]
        require(all(call.at - at >= 10 - EPS for at in before if at <= call.at), "ten seconds", call, before)
        for most, length in wanted.limits:
            recent = [at for at in before if at > call.at - length + EPS]
            require(len(recent) < most, "above a contact limit", call, recent, most, length)


def _check_money(story: Story, calls: list[Call]) -> None:
    wanted = story.wanted
    if wanted.most_calls is not None:
        require(len(calls) <= wanted.most_calls, "above the budget of calls", len(calls))
    if wanted.most_usd is None:
        return
    worst = max(0.015, wanted.minutes * wanted.usd_per_minute)
    for call in calls:
        spent = 0.0
        for other in calls:
            if other.at <= call.at:
                known = other.told is not None and other.told <= call.decided and other.price is not None
                spent += (other.price or 0.0) if known else worst
        require(spent <= wanted.most_usd + EPS, "above the budget of money", call, spent)


def _check_pace(story: Story, calls: list[Call]) -> None:
    wanted = story.wanted
    for _, decision, before, _ in story.decisions:
        if not wanted.batches:
            require(before + len(decision.ring) <= wanted.concurrent, "too many at once", decision, before)
        for one, other in itertools.pairwise(decision.ring if not wanted.batches else ()):
            gap = (other.at - one.at).total_seconds()
            require(gap >= 1 / wanted.per_second - EPS, "too fast", one, other)
    for call in calls:
        others = [other for other in calls if other is not call and other.at <= call.at]
        live = [other for other in others if not other.lost and (other.over or 0.0) > call.at]
        require(len(live) < wanted.concurrent, "too many calls at once", call, live)
        for round_, at, wait in story.throttled:
            # What waits at Bland already goes on.
            if call.round > round_:
                require(call.at >= at + wait - EPS, "rung in a pause", call, at, wait)
    moments = [call.at for call in calls]
    for index, at in enumerate(moments):
        for most, length in ((wanted.per_hour, 3600), (wanted.per_day, 86_400)):
            if most is not None:
                recent = [other for other in moments[: index + 1] if other > at - length]
                require(len(recent) <= most, "above an hourly or daily limit", at, recent, most)


def _check_breaker(story: Story) -> None:
    breaker = story.wanted.breaker
    if breaker is None:
        return
    rate, of_last, at_least = breaker
    due = None
    for index in range(len(story.votes)):
        # The last vote of each of the recipients who voted last.
        latest: dict[int, bool] = {}
        for _, row, failed in reversed(story.votes[: index + 1]):
            if row not in latest and len(latest) < of_last:
                latest[row] = failed
        if len(latest) >= at_least and sum(latest.values()) >= rate * len(latest):
            due = story.votes[index][0]
            break
    if due is not None:
        require(story.stopped is not None and story.stopped <= due + EPS, "did not stop", story.votes, story.stopped)
    elif story.stopped is not None and story.plan is not None:
        require("somebody" in story.plan.stopped, "stopped without a reason", story.votes, story.plan.stopped)


def _check_buckets(story: Story, calls: list[Call]) -> None:
    plan = story.plan
    if plan is None:
        raise BrokenRuleError("it has no end")
    rows = Counter(ended.recipient.row for ended in story.ended)
    require(rows == Counter(range(len(story.rows))), "not one bucket each", rows)
    buckets = Counter(ended.bucket.value for ended in story.ended)
    require(buckets == Counter(plan.buckets), "the counts are wrong", buckets, plan.buckets)
    require(plan.rows == len(story.rows), "rows are missing", plan.rows)
    require(plan.purse.rings == len(calls), "rings were miscounted", plan.purse.rings, len(calls))
    first: dict[str, int] = {}
    for ended in sorted(story.ended, key=lambda ended: ended.recipient.row):
        row, bucket = ended.recipient.row, ended.bucket.value
        given = story.rows[row]
        number = given["number"]
        if number in UNREADABLE:
            require(bucket == "invalid_number", "is no number", given, bucket)
        elif number in TOLL_FREE:
            require(bucket == "number_type", "is toll-free", given, bucket)
        elif number in first:
            require(bucket == "duplicate", "comes twice", given, bucket)
            require(ended.recipient.record["duplicate_of"] == first[number], "points elsewhere", given)
        else:
            first[number] = row
            _check_bucket(story, calls, row, bucket)


def _check_bucket(story: Story, calls: list[Call], row: int, bucket: str) -> None:
    wanted, given = story.wanted, story.rows[row]
    number = given["number"]
    if number in story.suppressed[0][1]:
        require(bucket == "suppressed", "was suppressed from the start", given, bucket)
        return
    if given["zone"] == "EST" or (number == NO_ZONE and not given["zone"]):
        require(bucket == "zone_unknown", "is nowhere", given, bucket)
        return
    rings = [call for call in calls if call.row == row]
    if rings:
        expected = "unsettled" if rings[-1].lost else rings[-1].outcome
        require(bucket == expected, "its last outcome", given, bucket, expected)
        return
    require(bucket not in OUTCOMES and bucket != "unsettled", "was never rung", given, bucket)
    if any(other == row for _, other, _ in story.refused):
        require(bucket == "refused", "was refused", given, bucket)
        return
    known = wanted.history.get(number, []) + [at for _, whose, at in story.others if whose == number]
    zones = tuple(sorted({*PEOPLE.get(number, ()), *([given["zone"]] if given["zone"] else [])}))
    opens = opens_within(wanted, wanted.start, wanted.ends, zones)
    require((bucket == "outside_hours") == (not opens), "hours that opened or not", given, bucket, opens)
    if bucket == "suppressed":
        require(any(number in numbers for _, numbers in story.suppressed), "was never suppressed", given)
    elif bucket == "stopped":
        require(story.stopped is not None, "nobody stopped it", given)
    elif bucket == "contact_limit":
        require(bool(wanted.limits), "there is no limit", given)
        # However late it is rung: as many rings as allowed lie in some stretch before.
        at = (wanted.start // 300) * 300
        while at < wanted.ends:
            free = all(sum(ring > at - length for ring in known) < most for most, length in wanted.limits)
            require(
                not (free and at >= story.finished and may_ring(wanted, at, zones)), "it could wait", given, known, at
            )
            at += 300
    elif bucket == "budget":
        worst = max(0.015, wanted.minutes * wanted.usd_per_minute)
        spent = sum(worst if call.price is None else call.price for call in calls)
        empty = (wanted.most_calls is not None and len(calls) >= wanted.most_calls) or (
            wanted.most_usd is not None and spent + worst > wanted.most_usd - EPS
        )
        require(empty, "there was money left", given, spent)
    elif bucket == "expired":
        moments = [now for now, decision, _, _ in story.decisions for one in decision.gone if one.recipient.row == row]
        end = moments[0] if moments else story.finished
        require(story.stopped is None or end <= story.stopped + EPS, "it was stopped, not over", given)
        late = end >= wanted.ends or not opens_within(wanted, end, wanted.ends, zones)
        paced = wanted.per_hour is not None or wanted.per_day is not None or bool(story.throttled)
        # By another campaign, and within Bland's ten seconds the hours closed.
        rung = any(end - 10 <= at <= end for at in known)
        held = paced or bool(wanted.limits) or wanted.per_second < 1 or rung
        require(late or held, "it was not over yet", given, story.finished)
    else:
        require(bucket == "outside_hours", "an odd bucket", given, bucket)


def _check_nobody_is_forgotten(story: Story, calls: list[Call]) -> None:
    """With a free slot and somebody whose turn it is, somebody is rung."""
    wanted = story.wanted
    for round_, (now, decision, before, _) in enumerate(story.decisions):
        if decision.ring or decision.done or before or now >= wanted.ends or (story.stopped or now + 1) <= now:
            continue
        made = [call for call in calls if call.round < round_]
        lately = [call.at for call in made]
        pause = max([at for _, at, _ in story.throttled if at <= now], default=-1e12)
        if now - pause < 1000 or (lately and now - lately[-1] < 1 / wanted.per_second + 1):
            continue
        # Limits of an hour and a day are kept by the minute and by the quarter of an hour.
        if wanted.per_hour is not None and sum(at > now - 3661 for at in lately) >= wanted.per_hour:
            continue
        if wanted.per_day is not None and sum(at > now - 87_301 for at in lately) >= wanted.per_day:
            continue
        if wanted.most_calls is not None or wanted.most_usd is not None:
            continue
        ended = {one.recipient.row for one in story.ended}
        rung = {call.row for call in made}
        listed = [numbers for since, numbers in story.suppressed if since <= round_][-1]
        gone = {row for at, row, _ in story.refused if at <= now}
        for one in story.ended:
            row, number = one.recipient.row, story.rows[one.recipient.row]["number"]
            if row in rung | gone or one.bucket.value not in (*OUTCOMES, "expired", "unsettled"):
                continue
            if number in listed or number in wanted.history or any(whose == number for _, whose, _ in story.others):
                continue
            # Put off by a refusal that meant everybody, or by a wave that was broken off.
            if one.recipient.due > now - 20:
                continue
            require(not may_ring(wanted, now, one.recipient.zones), "was forgotten", one, now, decision)
        require(ended == set(range(len(story.rows))), "somebody has no end", ended)
