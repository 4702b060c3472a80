"""What a process keeps of large listings, so that each is read once however many ask for it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    @property
    def n_bytes(self) -> int: ...


K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Sized)


@dataclass
class Remembered(Generic[K, V]):
    """Values by key, the most recently used one last. turns: a lock for each key. n_bytes: of all values, as they said when they
    were kept. Safe in many threads."""

    kept: OrderedDict[K, V] = field(default_factory=OrderedDict)
    sizes_bytes: dict[K, int] = field(default_factory=dict)
    n_bytes: int = 0
    turns: dict[K, threading.Lock] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: K, read: Callable[[], V], max_bytes: int) -> V:
        """The value of `key`. When several threads ask for the same, one reads it and the others wait.

        max_bytes: of all values; those that were not used for longest go, but never the last one.
        """
        with self.lock:
            turn = self.turns.setdefault(key, threading.Lock())
        with turn:
            with self.lock:
                if key in self.kept:
                    self.kept.move_to_end(key)
                    return self.kept[key]
            value = read()
            n_bytes = value.n_bytes
            with self.lock:
                self.kept[key], self.sizes_bytes[key] = value, n_bytes
                self.n_bytes += n_bytes
                while len(self.kept) > 1 and self.n_bytes > max_bytes:
                    old, _ = self.kept.popitem(last=False)
                    self.n_bytes -= self.sizes_bytes.pop(old)
                    self.turns.pop(old, None)
        return value
