"""What a signal does to a block that can be stopped, in processes of their own, without Spark."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

PROGRAM = """
import hashlib
import signal
import sys
import threading
import time
from contextlib import suppress
from prodseek.errors import StoppedError, explain_errors
from prodseek.runner import stopping

work, stopping.GRACE_SECONDS, stopping.LAST_SECONDS = sys.argv[1], float(sys.argv[2]), 1.0
before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

def sleep():
    time.sleep(60)

def call():
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)

def swallow():
    for _ in range(60):
        with suppress(BaseException):
            time.sleep(1)

def wait_for_a_line():
    sys.stdin.readline()

def fail():
    time.sleep(0.6)
    raise ZeroDivisionError

def explain(cause):
    return StoppedError(f"stopped by {cause.name}", cause.exit_code)

def give_back(error):
    print(f"given back in {threading.current_thread() is threading.main_thread()}", flush=True)
    stopping.say_last(error)
    if work == "swallow":
        sleep()

def main():
    with stopping.stoppable(explain, give_back):
        try:
            threading.Timer(0.3, print, ["begun"], {"flush": True}).start()  # when the work has
            globals()[work]()
        finally:
            print("left", flush=True)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert signal.set_wakeup_fd(-1) == -1
    assert threading.active_count() == 1

explain_errors(main)
"""
NUMBERS = [signal.SIGTERM, signal.SIGINT]
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}
LINES = {signal.SIGTERM: "prodseek: stopped by SIGTERM\n", signal.SIGINT: "prodseek: stopped by Ctrl-C\n"}
GIVEN_BACK = "given back in False\n"
LONG_SECONDS = 50.0


class Program:
    """A process that is at work in a block that can be stopped."""

    def __init__(self, work: str, grace_seconds: float, ignores_ctrl_c: bool) -> None:
        before = signal.getsignal(signal.SIGINT)
        if ignores_ctrl_c:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, work, str(grace_seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        finally:
            signal.signal(signal.SIGINT, before)
        assert self.process.stdout is not None and self.process.stdout.readline() == "begun\n"

    def ends(self) -> tuple[int, str, str]:
        """Its exit code, and what it says on standard output and standard error."""
        out, errors = self.process.communicate(timeout=40)
        return self.process.returncode, out, errors


@pytest.fixture
def begin() -> Iterator[Callable[..., Program]]:
    begun: list[Program] = []

    def start(work: str, grace_seconds: float, ignores_ctrl_c: bool = False) -> Program:
        begun.append(Program(work, grace_seconds, ignores_ctrl_c))
        return begun[-1]

    yield start
    for program in begun:
        program.process.kill()
        program.process.communicate()


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_ends_the_block_as_an_error(begin: Callable[..., Program], number: signal.Signals) -> None:
    program = begin("sleep", LONG_SECONDS)
    program.process.send_signal(number)
    assert program.ends() == (CODES[number], "left\n", LINES[number])


@pytest.mark.parametrize("number", NUMBERS)
def test_where_the_block_is_not_left_in_time_what_it_holds_is_given_back(
    begin: Callable[..., Program], number: signal.Signals
) -> None:
    program = begin("call", 0.5)
    program.process.send_signal(number)
    assert program.ends() == (CODES[number], GIVEN_BACK, LINES[number])


def test_giving_back_has_a_time_limit_too(begin: Callable[..., Program]) -> None:
    program = begin("swallow", 0.5)
    program.process.send_signal(signal.SIGTERM)
    assert program.ends() == (143, GIVEN_BACK, LINES[signal.SIGTERM])


def test_a_second_signal_ends_the_process_at_once(begin: Callable[..., Program]) -> None:
    program = begin("call", LONG_SECONDS)
    program.process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        program.process.wait(2)
    program.process.send_signal(signal.SIGTERM)
    assert program.ends() == (130, GIVEN_BACK, LINES[signal.SIGINT])


def test_a_signal_that_is_sent_twice_is_one(begin: Callable[..., Program]) -> None:
    program = begin("call", LONG_SECONDS)
    for _ in range(2):
        program.process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        program.process.wait(3)


def test_who_ignores_ctrl_c_goes_on(begin: Callable[..., Program]) -> None:
    program = begin("wait_for_a_line", 0.5, ignores_ctrl_c=True)
    program.process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        program.process.wait(2)
    assert program.process.stdin is not None
    program.process.stdin.write("\n")
    assert program.ends() == (0, "left\n", "")


def test_without_a_signal_all_is_as_before(begin: Callable[..., Program]) -> None:
    program = begin("wait_for_a_line", LONG_SECONDS)
    assert program.process.stdin is not None
    program.process.stdin.write("\n")
    assert program.ends() == (0, "left\n", "")


def test_an_error_of_the_block_is_raised(begin: Callable[..., Program]) -> None:
    code, out, errors = begin("fail", LONG_SECONDS).ends()
    assert (code, out) == (1, "left\n") and errors.splitlines()[-1] == "ZeroDivisionError"
