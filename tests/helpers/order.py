"""In which order tests run, and which of them run in one process: pure unit tests first, so that a fault shows in seconds.

Each of two processes takes the next scope when it has all but done its last: all that has the sample's night is one, all
else that has a Spark session another, and of what is left each file, which fills up the time of the one that is done first.
"""

from __future__ import annotations

# By how a test's id begins. What has checkpoints that are made once a process.
_WITH_CHECKPOINTS = (
    "tests/unit/vision/test_networks.py",
    "tests/unit/vision/test_ultralytics_network.py",
    "tests/oracle/test_resnet_torchvision.py",
    "tests/oracle/test_ultralytics.py",
)
# No Spark session of the test's own process: programs that it starts have theirs.
_WITHOUT_SESSION = ("tests/e2e/test_logs.py", "tests/e2e/test_plan.py", "tests/faults/", "tests/spark/test_java.py")
_WITH_NIGHT = ("tests/e2e/", "tests/spark/test_object_store.py")
_WITH_SESSION = ("tests/spark/", "tests/fuzz/test_found.py")
_SCOPES = {
    "checkpoints": _WITH_CHECKPOINTS,
    "": _WITHOUT_SESSION,
    "night": _WITH_NIGHT,
    "session": _WITH_SESSION,
}
_FIRST = ("checkpoints", "tests/unit/", "night", "session", "tests/standalone/")


def scope_of(name: str) -> str:
    """Tests of one scope run in one process, one after another. name: a test's id."""
    scope = next((scope for scope, starts in _SCOPES.items() if name.startswith(starts)), "")
    return scope or name.partition("::")[0]


def place_of(name: str) -> int:
    """Where in the order a test's scope comes."""
    scope = scope_of(name)
    return next((place for place, start in enumerate(_FIRST) if scope.startswith(start)), len(_FIRST))
