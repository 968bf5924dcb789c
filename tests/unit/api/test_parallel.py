"""Many requests at once: in order, not too far ahead, and ended when nobody waits any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from airflow_provider_bland.api.parallel import PerThread, Senders, StoppedError, in_order
from airflow_provider_bland.api.settings import BlandSettings


def test_results_come_in_the_order_of_the_items_whatever_finishes_first() -> None:
    last = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert last.wait(10)
        if number == 7:
            last.set()
        return number * number

    assert list(in_order(work, range(40), 4)) == [(number, number * number) for number in range(40)]


def test_items_are_read_only_a_little_ahead() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            read.append(number)
            yield number

    results = in_order(lambda number: number, items(), 3, ahead=2)
    next(results)
    assert len(read) == 6
    next(results)
    assert len(read) == 7
    results.close()  # type: ignore[attr-defined]


def test_with_one_ahead_whatever_was_read_is_being_worked_on() -> None:
    going, release = threading.Semaphore(0), threading.Event()

    def work(number: int) -> int:
        going.release()
        assert release.wait(10)
        return number

    read: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            read.append(number)
            yield number

    results = in_order(work, items(), 3, ahead=1)
    puller = threading.Thread(target=lambda: next(results))
    puller.start()
    for _ in range(3):
        assert going.acquire(timeout=10)
    assert read == [0, 1, 2]
    release.set()
    puller.join()
    results.close()  # type: ignore[attr-defined]


def test_an_error_is_raised_in_its_turn_and_ends_the_rest() -> None:
    done: list[int] = []

    def work(number: int) -> int:
        if number == 3:
            raise KeyError(number)
        done.append(number)
        return number

    results = in_order(work, range(1000), 2)
    taken = [next(results)[0] for _ in range(3)]
    with pytest.raises(KeyError):
        next(results)
    assert taken == [0, 1, 2]
    assert len(done) < 20


def test_each_thread_has_one_of_its_own() -> None:
    made = PerThread(object)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.extend([made.get(), made.get()])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 4


def test_whoever_waits_between_attempts_is_let_go_when_nobody_waits_for_the_result() -> None:
    senders = Senders(BlandSettings(api_key="sk-test-key"))
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            senders._sleep(600)
        except StoppedError as error:
            ended.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    senders.close()
    waiting.join(10)
    assert not waiting.is_alive()
    assert len(ended) == 1
    # So that no handler of ordinary errors takes it for one.
    assert not isinstance(ended[0], Exception)
