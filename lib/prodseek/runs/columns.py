"""Closed lists that tables, settings and code share: facets, levels of groups, the columns of a box."""

from __future__ import annotations

from typing import Final, Literal, get_args

FacetName = Literal["likeness", "visual", "colour", "texture", "shape"]
FACETS: tuple[str, ...] = get_args(FacetName)
# The facet that every run indexes and searches by: is it the same thing?
LIKENESS: Final = "likeness"
# The facet that every run groups by: is it the same kind of thing?
VISUAL: Final = "visual"

FINE, COARSE = LEVELS = ("fine", "coarse")
# level -> the column of `curation_groups` that names a region's group of that level
GROUP_COLUMNS = {FINE: "group_id", COARSE: "coarse_group_id"}
# The columns of `curation_groups` that say what a region of an odd category is like, and how it is filed
ODD_COLUMNS = ("odd_category", "filed_category", "odd_neighbours", "asked_neighbours")

# Left, top, right and bottom edge of a region, in pixels of the upright photo.
BOX_EDGES = ("x1", "y1", "x2", "y2")
BOX_PX = tuple(f"{edge}_px" for edge in BOX_EDGES)
