"""Stop means stop: SIGTERM and Ctrl-C cancel Spark's jobs, and the command ends within ten seconds.

Python runs a signal's handler in the main thread, once that is between two bytecodes. All that it does is to leave the block, by
an exception. The rest is done by a thread that the signal wakes at once, through a pipe, even while the main thread is inside a
long call of a library. That thread cancels Spark's jobs over a connection to Java of its own, because the main thread's still
waits for an answer, and it ends the process where the block is not left in time.

A library that computes without letting go of the interpreter's lock keeps this thread waiting too, until it is done.
"""

from __future__ import annotations

import logging
import math
import os
import select
import signal
import socketserver
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from prodseek.errors import MachineError, ProdseekError
from prodseek.runs.signals import ENDING, postponed_signals
from prodseek.spark.submitted import is_spark_submitted

# From the signal on, for leaving the block; then for giving back what it holds without it. Ten seconds at most in all.
GRACE_SECONDS: Final = 5.0
LAST_SECONDS: Final = 2.0
_SPARK_SECONDS = 3.0
_JAVA_SECONDS = 1.0
_SUBMITTER_SECONDS = 3.0
_LOOK_SECONDS = 0.5
# timeout(1), and a terminal together with what was started in it, send one signal twice.
_SAME_SIGNAL_SECONDS = 1.0


@dataclass(frozen=True)
class StopCause:
    """What stopped a command, for a person, and what the process ends with."""

    name: str
    exit_code: int

    @classmethod
    def of(cls, number: int) -> StopCause:
        """The cause that a signal is."""
        return cls("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name, 128 + number)


# Java gets the signal then, which has started this process and tells it nothing. What it ends with is what counts.
_END_OF_SUBMITTER = StopCause("the end of spark-submit", 128 + signal.SIGTERM)


@contextmanager
def stoppable(
    explain: Callable[[StopCause], ProdseekError], abandon: Callable[[ProdseekError], None]
) -> Iterator[Stopping]:
    """Let SIGTERM and Ctrl-C end the block, and stop Spark after it, however it ended.

    explain: makes the error that a stopped block ends with. abandon: gets that error in another thread, where the block was not
    left in time or a second signal came; it gives back what the block holds, and the process ends after it.

    Signals are looked at in the main thread alone; in another the block is only run.
    """
    stopping = Stopping(explain, abandon)
    if threading.current_thread() is threading.main_thread():
        stopping.take_signals()
    try:
        yield stopping
        stopping.leave(None)
    except BaseException as error:
        cause = stopping.leave(error)
        if cause is None:
            raise
        raise explain(cause) from None
    finally:
        stopping.end()


class Stopping:
    """What happens when a command is stopped. Get one from `stoppable`."""

    def __init__(self, explain: Callable[[StopCause], ProdseekError], abandon: Callable[[ProdseekError], None]) -> None:
        self._explain = explain
        self._abandon = abandon
        self._cause: StopCause | None = None
        self._session: SparkSession | None = None
        self._is_leaving = False
        self._has_left = threading.Event()
        self._handlers: dict[signal.Signals, Any] = {}
        self._submitter = os.getppid() if is_spark_submitted() else None

    def take_signals(self) -> None:
        """Begin to look at signals."""
        self._handlers = {number: signal.getsignal(number) for number in ENDING}
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._fd_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number, handler in self._handlers.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._interrupt)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def start_spark(self, start: Callable[[], SparkSession]) -> SparkSession:
        """Start a session, which is stopped at the end. A signal takes effect when it has started.

        Java, when this process leaves it while it starts, says so at length and stays. Spark puts a handler of its own in place
        for Ctrl-C, which is undone.
        """
        with postponed_signals():
            self._session = start()
        return self._session

    def leave(self, error: BaseException | None) -> StopCause | None:
        """Stop Spark. Returns what has stopped the block, None where `error` is its own or there is none."""
        self._is_leaving = True
        if isinstance(error, KeyboardInterrupt):  # of the handler that Spark installs when it starts
            self._note(StopCause.of(signal.SIGINT))
        if isinstance(error, MachineError | Py4JError | PySparkException | OSError) and self._submitter_ends():
            self._note(_END_OF_SUBMITTER)
        cause = None if error is None else self._cause
        self._stop_spark()
        return cause

    def end(self) -> None:
        """The block is left. Unless it was stopped, signals do what they did before it."""
        self._has_left.set()
        if self._cause is not None or not self._handlers:
            return
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd_before)
        os.close(self._writer)  # which ends the watcher
        self._watcher.join()
        os.close(self._reader)

    def _note(self, cause: StopCause) -> StopCause:
        """Write down why this stops; returns the first cause."""
        if self._cause is None:
            self._cause = cause
            _hush()
        return self._cause

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        self._note(StopCause.of(number))
        if not self._is_leaving:
            self._is_leaving = True
            raise SystemExit(128 + number)

    def _stop_spark(self) -> None:
        """Stop Spark; a stopped command's within seconds, and Java with it, so that no task of it goes on."""
        # A thread of its own has a connection of its own: no answer to an earlier call is under way on that.
        stopper = threading.Thread(target=self._stop, daemon=True)
        stopper.start()
        ends = math.inf
        while stopper.is_alive() and time.monotonic() < ends:
            stopper.join(_LOOK_SECONDS)
            if self._cause is not None:
                ends = min(ends, time.monotonic() + _SPARK_SECONDS)
        if self._cause is not None:
            _end_java()

    def _stop(self) -> None:
        if self._cause is not None:
            _cancel_jobs()
        context = self._session or SparkContext._active_spark_context
        if context is None:
            return
        with warnings.catch_warnings(), suppress(Py4JError, PySparkException, OSError):
            warnings.simplefilter("ignore", RuntimeWarning)  # that Java has ended already
            context.stop()

    def _submitter_ends(self) -> bool:
        """Whether spark-submit has ended, or does so in a moment: Spark is stopped first, which fails what this process asks."""
        ends = time.monotonic() + _SUBMITTER_SECONDS
        while self._submitter is not None and time.monotonic() < ends:
            if os.getppid() != self._submitter:
                return True
            time.sleep(_LOOK_SECONDS / 5)
        return False

    def _watch(self) -> None:
        """Wait for a signal, then see to it that the process ends."""
        cause = self._next_cause(math.inf)
        if cause is None:
            return
        cause = self._note(cause)
        started = time.monotonic()
        threading.Thread(target=self._keep_cancelling, daemon=True).start()
        while (left_seconds := started + GRACE_SECONDS - time.monotonic()) > 0:
            again = self._next_cause(left_seconds)
            if again is not None and time.monotonic() > started + _SAME_SIGNAL_SECONDS:
                break
        self._end_process(self._explain(cause))

    def _next_cause(self, seconds: float) -> StopCause | None:
        """The next reason to stop; None where none comes in so many seconds, or signals were given back."""
        ends = time.monotonic() + seconds
        while (left_seconds := ends - time.monotonic()) > 0:
            ready, _, _ = select.select([self._reader], [], [], min(left_seconds, _LOOK_SECONDS))
            if ready:
                arrived = os.read(self._reader, 1)
                if not arrived:
                    return None
                if arrived[0] in ENDING:
                    return StopCause.of(arrived[0])
            elif self._submitter not in (None, os.getppid()):
                cause = self._note(_END_OF_SUBMITTER)
                self._submitter = None
                os.kill(os.getpid(), signal.SIGTERM)  # so that the main thread leaves
                return cause
        return None

    def _keep_cancelling(self) -> None:
        """Cancel what runs, and what another thread of the block may still start, until the block is left."""
        while not self._has_left.is_set():
            _cancel_jobs()
            self._has_left.wait(_LOOK_SECONDS)

    def _end_process(self, error: ProdseekError) -> None:
        if self._has_left.is_set():
            time.sleep(LAST_SECONDS)  # which the main thread has for what comes after the block
        else:
            last = threading.Thread(target=self._give_back, args=(error,), daemon=True)
            last.start()
            last.join(LAST_SECONDS)
        os._exit(error.exit_code)

    def _give_back(self, error: ProdseekError) -> None:
        _end_java()
        self._abandon(error)


def say_last(error: ProdseekError) -> None:
    """Say on standard error what ended the command, whatever the main thread is doing with it."""
    # A live line of a terminal is cleared, and its cursor shown again.
    before = "\r\x1b[K\x1b[?25h" if sys.stderr.isatty() else ""
    with suppress(OSError):  # nobody may listen any more
        os.write(2, f"{before}prodseek: {error}\n".encode())


def _hush() -> None:
    """Let no library print a traceback for each call to Java that is cut short: the process ends, and one line says why."""
    logging.disable()
    threading.excepthook = lambda _: None
    socketserver.BaseServer.handle_error = lambda *_: None  # type: ignore[method-assign]


def _cancel_jobs() -> None:
    """Cancel all of Spark's jobs, if it has started."""
    java = SparkContext._jvm
    java_context = getattr(SparkContext._active_spark_context, "_jsc", None)
    if java is None or java_context is None:
        return
    with suppress(Py4JError, PySparkException, OSError):
        # Java, and each Python worker through it, would print a stack trace for a task that is cancelled.
        java.java.lang.System.err.close()
        java_context.sc().cancelAllJobs()


def _end_java() -> None:
    """End the Java that this process has started; the one of spark-submit, which has started this process, is left alone."""
    java: subprocess.Popen[bytes] | None = getattr(SparkContext._gateway, "proc", None)
    if java is None:
        return
    java.terminate()  # which lets it remove its temporary files
    try:
        java.wait(_JAVA_SECONDS)
    except subprocess.TimeoutExpired:
        java.kill()
