"""Shared by all pages: a template engine that escapes everything, and pictures inside the page."""

from __future__ import annotations

import base64
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from prodseek.report import wording


def environment() -> Environment:
    """The template engine of this package. All strings are escaped, and characters that HTML cannot hold become visible marks."""
    made = Environment(
        loader=PackageLoader("prodseek.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    made.filters["data_uri"] = data_uri
    return made


def source(name: str) -> str:
    """The text of a template file as it is, such as a style sheet."""
    made = environment()
    return PackageLoader("prodseek.report").get_source(made, name)[0]


def data_uri(webp: bytes) -> Markup:
    """A picture as a data URI."""
    return Markup("data:image/webp;base64," + base64.b64encode(webp).decode())


def _printable(value: Any) -> Any:
    return wording.printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
