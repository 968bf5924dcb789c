"""What others need to know of a campaign that has not finished: whom it has rung so far."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_bland.campaigns.ledger import Ledger, LedgerPages
from airflow_provider_bland.campaigns.queue import Later, PageBox
from airflow_provider_bland.campaigns.recipients import Recipient
from airflow_provider_bland.campaigns.report import rings_of
from airflow_provider_bland.campaigns.results import Results


def rings_so_far(ledger: Ledger) -> Iterator[tuple[str, list[float]]]:
    """
    Rings that a campaign has made, or is just about to make. Whoever waits for a first ring is not looked at.

    :param ledger: of a campaign that another execution may be at work on; nothing is written.
    :return: number (E.164) and moments, seconds since 1970. Empty if nothing is kept any more.
    :raises LedgerBrokenError: if something is missing; as a rule because the campaign went on meanwhile.
    """
    head, blocks = ledger.load()
    if head is None:
        return
    plan = head["plan"]
    for row in Results.load(ledger, head["results"]):
        if row["rung_at"]:
            yield row["phone_number"], row["rung_at"]
    waiting = Later.from_dict(PageBox(LedgerPages(ledger)), plan["later"])
    yield from ((recipient.number, rings) for recipient in waiting if (rings := rings_of(recipient)))
    under_way = {recipient.row: recipient for recipient in map(Recipient.from_list, plan["under_way"])}
    rung = {row: rings_of(recipient) for row, recipient in under_way.items()}
    for block in blocks:
        for said in block["said"]:
            if (row := said.get("row")) in rung and ("call" in said or "back" in said or "refused" in said):
                # It happened at that moment; or it did not.
                rung[row] = [*rung[row][:-1], *([said["at"]] if "call" in said else [])]
    yield from ((under_way[row].number, rings) for row, rings in rung.items() if rings)
