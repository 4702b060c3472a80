"""In which order tests run, and which of them run in one process: pure unit tests first, so that a fault shows in seconds."""

from __future__ import annotations

# What has the night over the sample, which a process makes once, in its Spark session.
ON_THE_NIGHT = ("tests/e2e/", "tests/spark/test_object_store.py")
# What has a Spark session, which is quick once it has run for a while.
ON_SPARK = ("tests/spark/", "tests/faults/", "tests/fuzz/test_found.py")
# Rooms, the quick ones first. Each of two processes takes the next scope when it has done one.
ROOMS = ("tests/unit/", "tests/oracle/", "tests/fuzz/test_fuzz.py", "tests/browser/")


def scope_of(name: str) -> str:
    """Tests of one scope run in one process. name: a test's id."""
    if name.startswith(ON_THE_NIGHT):
        return "the night"
    return "spark" if name.startswith(ON_SPARK) else name.partition("::")[0]


def place_of(name: str) -> int:
    """Where in the order a test's scope comes."""
    order = (*ROOMS, "the night", "spark")
    return next(
        (place for place, start in enumerate(order) if name.startswith(start) or scope_of(name) == start), len(order)
    )
