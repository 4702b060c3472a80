"""What all pages share: a template engine that escapes everything, and pictures inside the page."""

from __future__ import annotations

import base64
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from prodseek.report import wording


def environment() -> Environment:
    """Templates of this package: every string is escaped, and what HTML cannot hold becomes a visible mark."""
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
    """A template's text as it is, such as a style sheet's."""
    made = environment()
    return PackageLoader("prodseek.report").get_source(made, name)[0]


def data_uri(webp: bytes) -> Markup:
    """A picture as an address that holds it."""
    return Markup("data:image/webp;base64," + base64.b64encode(webp).decode())


def _printable(value: Any) -> Any:
    return wording.printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
