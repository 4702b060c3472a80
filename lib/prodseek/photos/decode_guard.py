"""Decode photos in a child process, so that one that crashes it, takes all memory or never ends does no further harm.

`python -m prodseek.photos.decode_guard` is the child: it reads photos from standard input and answers each with a line of
JSON.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import struct
import subprocess
import sys
import threading
from dataclasses import asdict
from types import TracebackType
from typing import IO

from prodseek.errors import ProdseekError
from prodseek.photos.decode import ImageLimits, ImageRejected, RejectReason, decode_image
from prodseek.photos.hashes import pdq_hash

_START_SECONDS = 120.0
_LENGTH = struct.Struct(">Q")
# The worst case is 16-bit grey: four float64 copies while it is converted to 8 bits, and the photo itself.
_BYTES_PER_PIXEL = 48
_MARGIN_BYTES = 512 * 1024 * 1024


class DecodeGuard:
    """A child process that decodes photos one after another. It is replaced when a photo ends it.

    enough_side_px: as for `decode_image`; None decodes the whole photo and takes its PDQ hash. seconds: the most time for
    one photo. The child may use 48 bytes for each of `limits.max_pixels`, and 512 MiB on top. Threads may share a guard.
    """

    def __init__(self, limits: ImageLimits, enough_side_px: int | None, seconds: float) -> None:
        self._options = json.dumps({"limits": asdict(limits), "enough_side_px": enough_side_px})
        self._seconds = seconds
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> DecodeGuard:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def check(self, data: bytes) -> None:
        """Return if a photo can be decoded. Raises ImageRejected: `crashed` if the child did not survive it, else the
        rejection of `decode_image`."""
        with self._lock:
            child = self._child or self._start()
            try:
                _stdin(child).write(_LENGTH.pack(len(data)) + data)
                _stdin(child).flush()
                answer = self._line(child, self._seconds)
            except BrokenPipeError:
                answer = b""
            if answer is None:
                self._end()
                raise ImageRejected(RejectReason.CRASHED, f"the decoder did not end in {self._seconds:g} s")
            if not answer:
                raise ImageRejected(RejectReason.CRASHED, f"the decoder was ended by {self._cause_of_death(child)}")
        fault = json.loads(answer)
        if fault is not None:
            raise ImageRejected(RejectReason(fault["reason"]), fault["detail"])

    def _start(self) -> subprocess.Popen[bytes]:
        # A Spark worker has the job's files on its path, but not in its environment.
        path = os.pathsep.join(filter(None, sys.path))
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self._child = subprocess.Popen(
            [sys.executable, "-m", "prodseek.photos.decode_guard", self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **one_thread, "PYTHONPATH": path},
        )
        if not self._line(self._child, _START_SECONDS):
            self._end()
            raise ProdseekError("the process that tries out photos does not start; its output is above")
        return self._child

    def _line(self, child: subprocess.Popen[bytes], seconds: float) -> bytes | None:
        """The child's next line; empty if it is dead, None if no line comes in time."""
        stdout = child.stdout
        if stdout is None:
            return b""
        ready, _, _ = select.select([stdout], [], [], seconds)
        return stdout.readline() if ready else None

    def _cause_of_death(self, child: subprocess.Popen[bytes]) -> str:
        code = child.wait()
        self._end()
        if code >= 0:
            return f"itself with exit code {code}"
        name = signal.Signals(-code).name
        return f"{name}, as the system does when memory runs out" if name == "SIGKILL" else name

    def _end(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None


def _stdin(child: subprocess.Popen[bytes]) -> IO[bytes]:
    if child.stdin is None:
        raise BrokenPipeError
    return child.stdin


def main(options: str) -> None:
    """Run the child: decode each photo that comes in, then report that the child is alive and what was wrong."""
    given = json.loads(options)
    limits = ImageLimits(**given["limits"])
    enough_side_px = given["enough_side_px"]
    # Standard output goes to standard error, so that text printed by a decoder is not taken for an answer.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _limit_memory(limits.max_pixels * _BYTES_PER_PIXEL + _MARGIN_BYTES)
    fault = None
    while True:
        answers.write(json.dumps(fault).encode() + b"\n")
        answers.flush()
        header = sys.stdin.buffer.read(_LENGTH.size)
        if len(header) < _LENGTH.size:
            return
        data = sys.stdin.buffer.read(_LENGTH.unpack(header)[0])
        try:
            image = decode_image(data, limits, enough_side_px=enough_side_px)
            if enough_side_px is None:
                pdq_hash(image.pixels)
            fault = None
        except ImageRejected as rejected:
            fault = {"reason": rejected.reason.value, "detail": rejected.detail}


def _limit_memory(n_bytes: int) -> None:
    """Let this process map at most n_bytes more than it has mapped so far."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        mapped_bytes = int(statm.read().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = mapped_bytes + n_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


if __name__ == "__main__":
    main(sys.argv[1])
