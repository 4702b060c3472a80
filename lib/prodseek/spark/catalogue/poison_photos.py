"""Photos that end the process that decodes them, or never let it end: found in a task's second attempt, and set aside."""

from __future__ import annotations

import faulthandler
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from pyspark import TaskContext

from prodseek.photos.decode import ImageLimits

MAX_DECODE_SECONDS = 120.0

# A context manager made from a photo's bytes; they are decoded inside it. It raises ImageRejected.
Decoding = Callable[[bytes], AbstractContextManager[None]]


@contextmanager
def surviving_poison(limits: ImageLimits, enough_side_px: int | None = None) -> Iterator[Decoding]:
    """What the photos of this task are decoded in.

    In a task's first attempt a photo that takes more than two minutes ends this worker, as one does that crashes it or
    takes all memory; Spark then tries the task again. In later attempts each photo is decoded in another process first,
    which costs as much again; one that it does not survive is rejected as `crashed`, and the others of its batch go on.
    Outside of tasks nothing of this happens.
    """
    context = TaskContext.get()
    if context is None:
        yield lambda _: nullcontext()
        return
    if context.attemptNumber() == 0:
        yield _Watch()
        return
    # Imported here, because most tasks never need it.
    from prodseek.photos.decode_guard import DecodeGuard

    with DecodeGuard(limits, enough_side_px, MAX_DECODE_SECONDS) as guard:

        @contextmanager
        def decoding(data: bytes) -> Iterator[None]:
            guard.check(data)
            yield

        yield decoding


class _Watch:
    """Ends this process, after its threads' stacks are written to standard error, when no decoding begins or ends for long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_decoding = 0

    @contextmanager
    def __call__(self, data: bytes) -> Iterator[None]:
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            self._n_decoding += change
            if self._n_decoding:
                # A thread in C, which needs no part of the interpreter that a decoder holds on to.
                faulthandler.dump_traceback_later(MAX_DECODE_SECONDS, exit=True)
            else:
                faulthandler.cancel_dump_traceback_later()
