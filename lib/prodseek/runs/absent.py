"""What programs write where a catalogue has no value."""

from __future__ import annotations

from typing import Final

# Not NA, which is a country and a size.
ABSENT: Final = ("", "NaN", "nan", "NULL", "null", "None", "<NA>", "\\N", "#N/A")
