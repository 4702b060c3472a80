"""The signals that end a command, and what they must not tear."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# SIGINT is Ctrl-C.
ENDING: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def postponed_signals() -> Iterator[None]:
    """Let a short block finish: SIGTERM and Ctrl-C take effect at its end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    before = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, lambda got, _: arrived.append(got))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for got in arrived:
        handler = before[signal.Signals(got)]
        if callable(handler):
            # Not sent anew, because whoever counts signals would take that for a second one.
            handler(got, None)
        else:
            signal.raise_signal(got)
