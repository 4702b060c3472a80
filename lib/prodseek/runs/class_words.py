"""The detected classes in plain English."""

from __future__ import annotations

# The classes of COCO as Darknet writes them, where people write them otherwise.
_PLAIN = {
    "aeroplane": "airplane",
    "cell phone": "phone",
    "diningtable": "dining table",
    "donut": "doughnut",
    "hair drier": "hair dryer",
    "motorbike": "motorcycle",
    "pottedplant": "potted plant",
    "remote": "remote control",
    "sports ball": "ball",
    "tvmonitor": "TV",
}


def class_words(class_name: str | None) -> str:
    """A class as people call it; one of another network as it is, with blanks; nothing for None, as tables have it."""
    if class_name is None:
        return ""
    return _PLAIN.get(class_name, class_name.replace("_", " "))
