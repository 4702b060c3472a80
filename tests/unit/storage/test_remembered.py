"""Listings are read once however many ask, and what a process keeps stays within its bound."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from prodseek.storage.remembered import Remembered


class Listing(NamedTuple):
    name: str
    n_bytes: int


def test_what_was_not_used_for_longest_goes_and_the_last_one_never() -> None:
    remembered: Remembered[str, Listing] = Remembered()
    for name, n_bytes in [("a", 40), ("b", 40), ("a", 40), ("c", 40)]:
        remembered.get(name, lambda name=name, n_bytes=n_bytes: Listing(name, n_bytes), 100)
    assert list(remembered.kept) == ["a", "c"] and remembered.n_bytes == 80
    assert remembered.get("large", lambda: Listing("large", 1000), 100).n_bytes == 1000
    assert list(remembered.kept) == list(remembered.turns) == ["large"] and remembered.n_bytes == 1000


def test_threads_that_ask_for_the_same_wait_for_one_that_reads() -> None:
    remembered: Remembered[str, Listing] = Remembered()
    read = []

    def slow() -> Listing:
        read.append(threading.get_ident())
        time.sleep(0.05)
        return Listing("a", 1)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: remembered.get("a", slow, 10), range(8)))
    assert len(read) == 1 and all(one is found[0] for one in found)


def test_a_listing_that_failed_is_read_again() -> None:
    remembered: Remembered[str, Listing] = Remembered()

    def fails() -> Listing:
        raise OSError("gone")

    for read in (fails, lambda: Listing("a", 1)):
        try:
            assert remembered.get("a", read, 10).name == "a"
        except OSError as error:
            assert str(error) == "gone" and not remembered.kept
