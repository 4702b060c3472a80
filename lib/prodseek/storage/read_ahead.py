"""Slow reads overlap with work, in bounded memory."""

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
    """Apply `function` to the items in `threads` threads; results come in the order of the items.

    At most max(`ahead`, 2 x `threads`) results wait to be taken, however long `items` is. A caller that takes a batch at a
    time sets `ahead` to the size of a batch, to have the next batch ready. `items` is read in the caller's thread. An
    exception of `function` is raised when its result's turn comes.
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
