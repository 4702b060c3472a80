"""Read files that `torch.save` wrote. They are checked by SHA-256, and never trusted to run code."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from prodseek.errors import WeightsError
from prodseek.vision.weights import PinnedFile

# Errors that torch's reader raises on damaged files.
DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    MemoryError,
    struct.error,
)


def foreign_globals(weights: PinnedFile, data: bytes) -> frozenset[str]:
    """Full names of the classes and functions that the file refers to, beyond those that torch itself allows.

    They are found by reading the pickle's instructions without executing any. data: `weights.read()`. Raises WeightsError.
    """
    try:
        with _allowing({}):
            return frozenset(torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(data)))
    except (*DAMAGED, pickle.UnpicklingError) as error:
        raise _not_torch(weights, error) from error


def load_torch(weights: PinnedFile, data: bytes, allowed: Mapping[str, Any] | None = None) -> Any:
    """Load what `torch.save` wrote, on the CPU, with torch's unpickler that creates only allowed classes.

    data: `weights.read()`. allowed: full name in the file -> the class or function to use for it, beside torch's own list of
    tensors and containers. Raises WeightsError for anything else.
    """
    try:
        with _allowing(allowed or {}):
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # The rest of torch's message explains how to trust the file anyway, which we do not advise.
        found = [line.strip() for line in str(error).splitlines() if "Unsupported" in line or "Trying" in line]
        raise WeightsError(
            f"weights file {weights.path} was not loaded, because it is damaged or holds more than weights: "
            f"{(found or [type(error).__name__])[0].split(' Please')[0]}"
        ) from error
    except DAMAGED as error:
        raise _not_torch(weights, error) from error


def check_finite(weights: PinnedFile, values: Mapping[str, torch.Tensor]) -> None:
    """Raise WeightsError if a tensor of a state_dict holds a value that is not finite."""
    check_size(weights, values)
    for key, tensor in values.items():
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"weights file {weights.path}: {key} holds values that are not finite; it is damaged")


def check_size(weights: PinnedFile, values: Mapping[str, torch.Tensor]) -> None:
    """Raise WeightsError if a tensor has more values than the file: with stride 0 one value can pose as any number of them."""
    for key, tensor in values.items():
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise WeightsError(f"weights file {weights.path}: {key} has more values than the file holds; it is damaged")


@contextmanager
def _allowing(allowed: Mapping[str, Any]) -> Iterator[None]:
    """Allow only torch's own list and `allowed`, and nothing else that was allowed in this process."""
    entries: list[Any] = [(stands_for, name) for name, stands_for in allowed.items()]
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(entries)
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _not_torch(weights: PinnedFile, error: Exception) -> WeightsError:
    why = str(error).splitlines()[0] if str(error) else type(error).__name__
    return WeightsError(f"weights file {weights.path} was not written by torch.save, or is damaged: {why}")
