"""Reading files that `torch.save` wrote: checked by SHA-256, and never trusted to run code."""

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

# What torch's reader raises on damaged files.
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
    """The full names of all classes and functions that the file refers to and torch does not itself allow.

    Found by reading the pickle's instructions; none is carried out. data: `weights.read()`. Raises WeightsError.
    """
    try:
        with _allowing({}):
            return frozenset(torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(data)))
    except (*DAMAGED, pickle.UnpicklingError) as error:
        raise _not_torch(weights, error) from error


def load_torch(weights: PinnedFile, data: bytes, allowed: Mapping[str, Any] | None = None) -> Any:
    """What `torch.save` wrote, on the CPU, by torch's unpickler that makes only what is allowed.

    data: `weights.read()`. allowed: full name in the file -> what stands for it, beside torch's own list of tensors
    and containers. Raises WeightsError for anything else.
    """
    try:
        with _allowing(allowed or {}):
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's message goes on with how to trust the file all the same; that is not for us to advise.
        found = [line.strip() for line in str(error).splitlines() if "Unsupported" in line or "Trying" in line]
        raise WeightsError(
            f"weights file {weights.path} is not loaded, for it is damaged or more than weights: "
            f"{(found or [type(error).__name__])[0].split(' Please')[0]}"
        ) from error
    except DAMAGED as error:
        raise _not_torch(weights, error) from error


def check_finite(weights: PinnedFile, values: Mapping[str, torch.Tensor]) -> None:
    """Raises WeightsError where a tensor of a state_dict holds a value that is not finite."""
    check_size(weights, values)
    for key, tensor in values.items():
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"weights file {weights.path}: {key} holds values that are not finite; it is damaged")


def check_size(weights: PinnedFile, values: Mapping[str, torch.Tensor]) -> None:
    """Raises WeightsError where a tensor has more values than the file: one value may stand for any number of them."""
    for key, tensor in values.items():
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise WeightsError(f"weights file {weights.path}: {key} has more values than the file holds; it is damaged")


@contextmanager
def _allowing(allowed: Mapping[str, Any]) -> Iterator[None]:
    """Nothing but torch's own list and `allowed`: what others in this process have allowed does not count."""
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
    return WeightsError(f"weights file {weights.path} is no file of torch.save, or a damaged one: {why}")
