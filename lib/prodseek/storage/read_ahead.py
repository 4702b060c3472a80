"""Overlapping slow reads with work, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int = 0
) -> Iterator[Result]:
    """Apply `function` in `threads` threads, results in the items' order.

    At most `ahead` results, or 2 x `threads` where that is more, wait to be taken, however long `items` is: a caller
    that takes a batch at a time has the next one ready with `ahead` at the size of a batch. `items` is read in the
    caller's thread. An exception of `function` is raised when its result's turn comes.
    """
    limit = max(ahead, 2 * threads)
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= limit:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
