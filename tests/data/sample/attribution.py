"""ATTRIBUTION.md: who made each model, and under which licence, as the libraries state it."""

from __future__ import annotations

from models import properties
from products import CC0, CC_BY, KATOR, SCOPIA, Product

LICENCES = {
    CC0: ("CC0 1.0 (public domain)", "https://creativecommons.org/publicdomain/zero/1.0/"),
    CC_BY: ("CC BY 3.0", "https://creativecommons.org/licenses/by/3.0/"),
    KATOR: ("CC BY 3.0 US", "https://creativecommons.org/licenses/by/3.0/us/"),
    SCOPIA: ("CC BY 3.0", "https://creativecommons.org/licenses/by/3.0/"),
}
CREDITS = {
    KATOR: "Andrew Kator & Jennifer Legaz",
    SCOPIA: "Emmanuel Puybaret / eTeks and Scopia Visual Interfaces Systems, s.l. (http://www.scopia.es)",
}


def attribution(products: list[Product]) -> str:
    """The Markdown text, one row a model; colour variants are made from the same models."""
    lines = [
        "# Attribution",
        "",
        "The pictures in `images/` were rendered for prodseek from 3D models of the Debian package",
        "`sweethome3d-furniture` (Sweet Home 3D libraries, http://www.sweethome3d.com). The models were",
        "scaled, lit, rendered and in part recoloured; pictures were altered further where `truth.csv`",
        "says so. No author",
        "endorses this use. Floors, walls, rugs and pictures on walls were painted by `surfaces.py`.",
        "",
        "| product_id | model | author | licence | library |",
        "|---|---|---|---|---|",
    ]
    for p in products:
        props = properties(p.library)
        author = CREDITS.get(p.library, props[f"creator#{p.number}"])
        if p.library in (CC0, CC_BY):
            author += " (Blend Swap)"
        path = props[f"model#{p.number}"].lstrip("/")
        licence, url = LICENCES[p.library]
        lines.append(
            f"| {p.product_id} | {props[f'name#{p.number}']} (`{path}`) | {author} | [{licence}]({url}) "
            f"| {p.library} |"
        )
    return "\n".join(lines) + "\n"
