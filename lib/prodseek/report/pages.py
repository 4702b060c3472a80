"""The report's pages that scripts draw from the data files, with their styles and scripts."""

from __future__ import annotations

from datetime import datetime

from prodseek.report import wording
from prodseek.report.records import About
from prodseek.report.templating import environment, source

PAGES = ("duplicates", "groups", "map", "object")
STYLES = ("report.css", "overview.css", "duplicates.css", "groups.css", "map.css", "object.css")
SCRIPTS = (
    "shards.js",
    "elements.js",
    "words.js",
    "tiles.js",
    "object.js",
    "find.js",
    "csv.js",
    "overlay.js",
    "duplicates.js",
    "groups.js",
    "map-labels.js",
    "map-view.js",
    "map.js",
    "object-page.js",
)


def render_pages(about: About) -> dict[str, bytes]:
    """Render the pages: file name under report/ -> content as UTF-8. All strings are escaped; equal facts give equal bytes.

    The result includes all styles and scripts of the report, also those of the overview.
    """
    made = environment()
    made.filters |= {"counted": wording.counted, "moment": lambda when: wording.moment(datetime.fromisoformat(when))}
    pages = {f"{name}.html": made.get_template(f"pages/{name}.html").render(about=about) for name in PAGES}
    assets = {f"assets/{name}": source(f"assets/{name}") for name in (*STYLES, *SCRIPTS)}
    assets["assets/page.css"] = source("page.css")
    return {name: content.encode() for name, content in sorted((pages | assets).items())}
