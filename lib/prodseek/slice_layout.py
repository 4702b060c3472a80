"""What a slice holds: named parts, one after another, in one float16 vector of at most 4 KB."""

from __future__ import annotations

from dataclasses import dataclass

MAX_SLICE_BYTES = 4096


@dataclass(frozen=True)
class SlicePart:
    """`length` float16 values starting at `offset`."""

    name: str
    offset: int
    length: int

    @property
    def span(self) -> slice:
        """Index of this part in a slice: `slices[:, part.span]`."""
        return slice(self.offset, self.offset + self.length)


def lay_out(lengths: dict[str, int]) -> dict[str, SlicePart]:
    """Place parts one after another, in the order given."""
    parts: dict[str, SlicePart] = {}
    offset = 0
    for name, length in lengths.items():
        parts[name] = SlicePart(name, offset, length)
        offset += length
    return parts
