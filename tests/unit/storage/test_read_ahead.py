"""map_ahead: in order, bounded, and honest about errors."""

from __future__ import annotations

import threading

import pytest

from prodseek.runs.ids import detection_id
from prodseek.storage.read_ahead import map_ahead


def test_order_is_kept() -> None:
    assert list(map_ahead(lambda x: x * x, range(100), 4)) == [x * x for x in range(100)]


def test_reads_ahead_a_bounded_number() -> None:
    taken: list[int] = []
    lock = threading.Lock()

    def items():  # type: ignore[no-untyped-def]
        for x in range(1000):
            with lock:
                taken.append(x)
            yield x

    results = map_ahead(lambda x: x, items(), 3)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(taken) <= 5 + 2 * 3
    results.close()  # type: ignore[attr-defined]


def test_a_whole_batch_is_worked_on_ahead() -> None:
    done = threading.Semaphore(0)

    def work(x: int) -> int:
        done.release()
        return x

    results = map_ahead(work, iter(range(1000)), 2, ahead=16)
    assert next(results) == 0
    # Without another result taken, sixteen are done and no seventeenth is begun.
    assert all(done.acquire(timeout=10) for _ in range(16))
    assert not done.acquire(timeout=0.05)
    results.close()  # type: ignore[attr-defined]


def test_an_error_comes_in_its_turn() -> None:
    results = map_ahead(lambda x: 1 // (x - 2), range(5), 2)
    assert [next(results), next(results)] == [-1, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_detection_ids_are_stable_and_positive() -> None:
    base = detection_id("a" * 64, "detection", "chair", (1.0, 2.0, 30.4, 40.0))
    assert base == detection_id("a" * 64, "detection", "chair", (1.0, 2.0, 30.4 + 1e-5, 40.0))
    others = {
        detection_id("b" * 64, "detection", "chair", (1.0, 2.0, 30.4, 40.0)),
        detection_id("a" * 64, "detection", "sofa", (1.0, 2.0, 30.4, 40.0)),
        detection_id("a" * 64, "foreground", None, (1.0, 2.0, 30.4, 40.0)),
        detection_id("a" * 64, "detection", "chair", (1.0, 2.0, 32.0, 40.0)),
    }
    assert len(others | {base}) == 5 and all(0 <= x < 2**63 for x in others | {base})
