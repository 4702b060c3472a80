"""A block that signals must not tear."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from prodseek.runs.signals import ENDING, postponed_signals


@pytest.fixture(autouse=True)
def raising_handlers() -> Iterator[None]:
    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_takes_effect_at_the_end(number: signal.Signals) -> None:
    done = []
    with pytest.raises(SystemExit) as ended, postponed_signals():
        signal.raise_signal(number)
        done.append("all of the block")
    assert ended.value.code == 128 + number and done == ["all of the block"]
    with pytest.raises(SystemExit):
        signal.raise_signal(number)


def test_without_a_signal_nothing_happens() -> None:
    with postponed_signals():
        pass
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)


def test_what_went_wrong_in_the_block_is_raised() -> None:
    with pytest.raises(ZeroDivisionError), postponed_signals():
        signal.raise_signal(signal.SIGTERM)
        raise ZeroDivisionError


def test_a_signal_that_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with postponed_signals():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_in_another_thread_the_block_is_only_run() -> None:
    done = []

    def work() -> None:
        with postponed_signals():
            done.append("all of the block")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["all of the block"]
