"""What tests find around them, set in one place: they pass alike from a terminal, in the background, in another time zone."""

from __future__ import annotations

import os
import signal
import time

# Variables that change what the code under test, or a program that a test starts, does or says.
UNSET_PREFIXES = ("AWS_", "CLICOLOR", "HADOOP_", "LC_", "OMP_", "PYSPARK_", "SPARK_")
UNSET = (
    *("COLUMNS", "FORCE_COLOR", "LINES", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
    *("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"),
    *("PYTHONPATH", "PYTHONWARNINGS", "PYTHONOPTIMIZE"),
    # What `make test ARGS=...` was given is not for the make that a test starts.
    *("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL", "ARGS", "CATALOG", "OUT", "IMAGE", "BOX"),
)
SET = {
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "TZ": "UTC",
    # Two processes of tests share two cores: threads that wait for one another in a loop took six times the processor's time.
    "OMP_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    # Java ends, in tests, before its second compiler, half of its work, has paid. What the first compiles fits into the cache,
    # and Spark's own classes are not verified anew by each.
    "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC "
    "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote",
}
LOCAL = "127.0.0.1,localhost"
# A process started in the background of a script ignores an interrupt, and so do all that it starts.
NOT_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


def settle() -> None:
    """Set signals, umask and variables of this process, for all that it starts too. To be called before numpy is imported."""
    for name in [name for name in os.environ if name.startswith(UNSET_PREFIXES) or name in UNSET]:
        del os.environ[name]
    os.environ.update(SET)
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), LOCAL)))
    time.tzset()
    os.umask(0o022)
    for number in NOT_IGNORED:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, NOT_IGNORED)
