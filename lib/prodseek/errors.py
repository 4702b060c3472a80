"""The errors a person may see. Each says what was wrong, the value, and what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable


class ProdseekError(Exception):
    """Any failure prodseek explains; `exit_code` is what the process ends with."""

    exit_code = 1


def exit_code_of(error: BaseException | None) -> int:
    """What a process ends with that this error ends; 0 for None."""
    if error is None:
        return 0
    if isinstance(error, ProdseekError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 1


def explain_errors(command: Callable[[], object]) -> None:
    """Call `command`; an error that prodseek explains, or the system, becomes one message and its exit code, without a
    traceback."""
    try:
        command()
    except ProdseekError as error:
        print(f"prodseek: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from error
    except OSError as error:
        print(
            f"prodseek: storage fails: {error}. See that the place can be read and written, then start again",
            file=sys.stderr,
        )
        raise SystemExit(1) from error


class ConfigError(ProdseekError):
    """The configuration cannot be used; the message lists every fault, one a line."""

    exit_code = 2


class CatalogueError(ProdseekError):
    """The catalogue is missing, empty, malformed, or holds no usable image."""

    exit_code = 2


# Why a damaged catalogue is refused as a whole.
NOTHING_USED = "nothing is used, because products that are missing would look as if they were gone"


class WeightsError(ProdseekError):
    """A network's weights or description cannot be obtained or do not fit each other."""

    exit_code = 2


class StoreError(ProdseekError):
    """A run, table or artefact is missing, unfinished, altered or from another run."""


class DamagedError(StoreError):
    """A file of a run is missing, cut short or altered; what merely cannot be read at the moment is a plain StoreError."""


class MachineError(ProdseekError):
    """A disk, memory or a process failed under a run; what is done stays done, and the same command resumes the run."""


class StoppedError(ProdseekError):
    """Somebody stopped the command; `exit_code` is 143 for SIGTERM, 130 for Ctrl-C."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class RootLockedError(ProdseekError):
    """Another run works on the root."""

    exit_code = 3


class TableError(ProdseekError):
    """Rows do not satisfy their table's schema."""


class ReconciliationError(ProdseekError):
    """Images + rejects differ from the input rows."""


class GateError(ProdseekError):
    """A run is whole, but beyond a gate: it is not published."""

    exit_code = 4


class PromptError(ProdseekError):
    """A search cannot be answered as it was asked; `reason` is from the closed list of `rejected_prompts.reason`."""

    exit_code = 2

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
