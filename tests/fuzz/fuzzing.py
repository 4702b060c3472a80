"""What the fuzz targets share: inputs made of real files by a few edits, and the search for those that a reader cannot take.

A target is a module with `cases()`, a strategy of Hypothesis, and `check(case)`, which raises for a case that breaks what the
target promises and returns for all others, rejected ones too.
"""

from __future__ import annotations

import resource
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

# More than any case may take beyond what the process had before.
MAX_GROWTH_BYTES = 400 * 1024 * 1024
_CASES_A_ROUND = 500
_NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    16,
    255,
    256,
    32767,
    32768,
    65535,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)

Edit = tuple[str, int, int]
_EDITS = ("flip", "set", "number", "cut", "drop", "repeat", "insert", "graft")


def mutated(seeds: Sequence[bytes], tokens: Sequence[bytes] = ()) -> st.SearchStrategy[bytes]:
    """One of the seeds with up to eight edits: bits, bytes and numbers altered, parts dropped, repeated, grafted from others."""
    position = st.one_of(st.integers(0, 600), st.integers(0, 2**20))
    edits = st.lists(st.tuples(st.sampled_from(_EDITS), position, st.integers(0, 2**20)), min_size=1, max_size=8)
    return st.builds(
        lambda number, changes: _edited(seeds, number, changes, tokens), st.integers(0, len(seeds) - 1), edits
    )


def _edited(seeds: Sequence[bytes], number: int, edits: Sequence[Edit], tokens: Sequence[bytes]) -> bytes:
    data = bytearray(seeds[number])
    for kind, position, value in edits:
        at = position % (len(data) + 1)
        length = 1 + value % 64
        if kind == "flip" and at < len(data):
            data[at] ^= 1 << value % 8
        elif kind == "set" and at < len(data):
            data[at] = value % 256
        elif kind == "number":
            size = (1, 2, 4, 8)[value % 4]
            chosen = _NUMBERS[value // 8 % len(_NUMBERS)] % 256**size
            data[at : at + size] = chosen.to_bytes(size, "big" if value % 8 < 4 else "little")
        elif kind == "cut":
            del data[at:]
        elif kind == "drop":
            del data[at : at + length]
        elif kind == "repeat":
            data[at:at] = data[at : at + length] * (1 + value // 64 % 16)
        elif kind == "insert":
            data[at:at] = tokens[value % len(tokens)] if tokens else value.to_bytes(3, "big")
        elif kind == "graft":
            other = seeds[value % len(seeds)]
            start = value % (len(other) + 1)
            data[at : at + length] = other[start : start + length]
    return bytes(data)


class Faults:
    """The distinct faults that a search has found: where and as what each was raised, and the smallest case of it."""

    def __init__(self) -> None:
        self.n_cases = 0
        self.found: dict[str, str] = {}

    def search(self, target: Any, seed: int, is_over: Callable[[], bool], on_case: Callable[[Any], None]) -> None:
        """Check cases until `is_over`. on_case: called with each before it is checked."""
        while not is_over():
            seed += 1
            self._round(target, seed, is_over, on_case)

    def _round(self, target: Any, seed: int, is_over: Callable[[], bool], on_case: Callable[[Any], None]) -> None:
        last: list[tuple[str, Any]] = []

        @seeded(seed)
        @settings(
            max_examples=_CASES_A_ROUND,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
            report_multiple_bugs=False,
        )
        @given(target.cases())
        def attempt(case: Any) -> None:
            if is_over():
                return
            self.n_cases += 1
            on_case(case)
            before = peak_bytes()
            try:
                target.check(case)
                if peak_bytes() - before > MAX_GROWTH_BYTES:
                    raise AssertionError(f"it took {(peak_bytes() - before) >> 20} MiB")
            except Exception as error:
                name = _name(error)
                if name not in self.found:
                    last[:] = [(name, case)]
                    raise

        try:
            attempt()
        except Exception as error:
            name, case = last[0] if last else (_name(error), None)
            self.found[name] = f"{case!r:.2000}\n{''.join(traceback.format_exception(error))[-3000:]}"


def peak_bytes() -> int:
    """The most memory that this process has ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _name(error: BaseException) -> str:
    """A fault is told from others by the place in prodseek, or else in the target, where it came out."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/prodseek/" in f.filename or "/jobs/" in f.filename or "/fuzz/" in f.filename]
    place = (ours or frames)[-1]
    return f"{type(error).__name__} at {place.filename.rpartition('/')[2]}:{place.lineno}"


Watch = Callable[[str, tuple[Any, ...]], None]


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """In this block `watch` is called with every audited event and its values; one that it raises for is not carried out."""
    _install_hook()
    _watches.append(watch)
    try:
        yield
    finally:
        _watches.pop()
        seen, _seen[:] = list(_seen), []
        # Whatever a library made of what `watch` raised.
        assert not seen, seen[0]


@contextmanager
def nothing_happens(events: frozenset[str]) -> Iterator[None]:
    """In this block no audited event of these names may happen, and none is carried out."""

    def watch(event: str, values: tuple[Any, ...]) -> None:
        assert event not in events or _is_import(event, values), f"{event} {values!r:.200}"

    with watching(watch):
        yield


_watches: list[Watch] = []
_seen: list[str] = []


@cache
def _install_hook() -> None:
    def hook(event: str, values: tuple[Any, ...]) -> None:
        if _watches:
            try:
                _watches[-1](event, values)
            except AssertionError as error:
                _seen.append(str(error))
                raise

    sys.addaudithook(hook)


def _is_import(event: str, values: tuple[Any, ...]) -> bool:
    """Whether a library reads its own code."""
    file = getattr(values[0], "co_filename", "") if event == "exec" else values[1] if event == "compile" else ""
    return str(file).startswith((sys.prefix, sys.base_prefix))
