"""A Pillow plug-in for photos that harm whoever decodes them; as sitecustomize.py it is in every process of a job."""

import ctypes
import io
import os
import time

from PIL import Image, JpegImagePlugin

MAGIC = b"POISON "


class CrashesWhenReduced(JpegImagePlugin.JpegImageFile):
    def draft(self, mode, size):  # type: ignore[no-untyped-def]
        ctypes.string_at(0)


def _open(handle: io.BytesIO, filename: str) -> Image.Image:
    what, _, rest = handle.read().removeprefix(MAGIC).partition(b"\n")
    if what == b"crashes":
        ctypes.string_at(0)
    if what == b"crashes when reduced":
        return CrashesWhenReduced(io.BytesIO(rest))
    if what == b"takes 4 GiB":
        bytearray(4 << 30)
    if what == b"exits":
        os._exit(3)
    if what == b"prints":
        print("null", flush=True)
        raise SyntaxError
    while True:
        time.sleep(1)


Image.register_open("POISON", _open, lambda prefix: prefix.startswith(MAGIC))
