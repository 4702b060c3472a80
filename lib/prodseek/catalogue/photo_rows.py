"""Rows of a catalogue out of what rows of a manifest say: one for each photo that is named, and what is wrong with it.

The night and `prodseek check` ask the same functions, so that they count the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from prodseek.catalogue.column_names import ZERO_WIDTH
from prodseek.catalogue.columns import Columns
from prodseek.catalogue.manifests import product_of
from prodseek.catalogue.photo_cells import photos_named
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.catalogue.web import WebAccess
from prodseek.config import CatalogConfig
from prodseek.photos.decode import ImageLimits
from prodseek.storage.retries import RetryPolicy

# What is said of a row whose product and photo a good row before it names.
REPEATED = "product_id and uri stand in an earlier row"
# Ends texts in too many of the programs that a product's id goes through.
_NUL = "\0"


@dataclass(frozen=True)
class RowRules:
    """What a row becomes. separators: between photos that share a cell. photos: asked whether one has such a name."""

    columns: Columns
    separators: tuple[str, ...]
    product_id_from: Literal["file", "folder"]
    photos: PhotoSource

    @classmethod
    def of(cls, columns: Columns, config: CatalogConfig, base_uri: str) -> RowRules:
        retry_policy = RetryPolicy(config.read_attempts, config.read_timeout_seconds)
        web = WebAccess(config.http_hosts, config.http_timeout_seconds)
        photos = PhotoSource(base_uri, config.allowed_roots, ImageLimits(), retry_policy, web)
        return cls(columns, config.uri_separators, config.product_id_from, photos)


class Role(StrEnum):
    """What a row is for its product, in feeds that give a product several rows; in others each is PHOTO.

    FURTHER: a variant names the photo, perhaps one that the product has anyway. NO_PHOTO: the row names none, and is no row
    of the catalogue.
    """

    PHOTO = "photo"
    FURTHER = "further"
    NO_PHOTO = "no photo"


class PhotoRows(NamedTuple):
    """Rows of the catalogue, (M,) each. fault: what is wrong with a row, else null. places: in the manifest's rows, int64.
    roles: see `Role`."""

    product_ids: pa.StringArray
    uris: pa.StringArray
    faults: pa.StringArray
    places: np.ndarray
    roles: pa.StringArray


def photo_rows(
    product_ids: pa.Array,
    cells: Sequence[pa.Array],
    faults: pa.Array,
    rules: RowRules,
    row_name: Callable[[int], str],
) -> PhotoRows:
    """One row for each photo that (N,) rows of a manifest name; one for a row that names none, or is at fault.

    product_ids, faults: text. cells: of each column in `columns.uris` text, or lists of text. row_name: of the row at a place.
    """
    columns = rules.columns
    named, main = photos_named(cells, columns, rules.separators, rules.photos, len(product_ids))
    uris, places = _exploded(named, faults)
    at = pa.array(places)
    roles = _roles(uris, faults.take(at), places, main if columns.has_other_rows else None)
    products = product_ids.take(at)
    if columns.product_id is None:
        names = (None if uri is None else product_of(uri, rules.product_id_from) for uri in uris.to_pylist())
        products = pa.array(names, pa.string())
    products = pc.utf8_trim(products, characters=f"{ZERO_WIDTH} ")
    found = faults.take(at)

    def said(is_so: pa.Array, what: str) -> pa.Array:
        at_fault = np.flatnonzero(np.asarray(is_so))
        told = pa.array([f"{row_name(int(place))} {what}" for place in places[at_fault]], pa.string())
        return pc.replace_with_mask(pa.nulls(len(places), pa.string()), is_so, told)

    if columns.uri is None and columns.photo is None:
        pass  # no catalogue, but another table
    elif columns.uri is None:  # the photos are held, and named after their products
        found = pc.coalesce(found, said(products.is_null(), "names neither uri nor product_id"))
    else:
        has_none = pc.and_(uris.is_null(), pc.not_equal(roles, Role.NO_PHOTO))
        has_no_product = pc.and_(products.is_null(), pc.not_equal(roles, Role.NO_PHOTO))
        found = pc.coalesce(
            found,
            said(pc.and_(has_none, has_no_product), "names neither uri nor product_id"),
            said(has_none, "names no uri"),
            said(has_no_product, "names no product_id"),
        )
    has_nul = pc.fill_null(pc.match_substring(products, _NUL), False)
    if pc.any(has_nul).as_py():
        found = pc.coalesce(found, said(has_nul, "has a NUL character in its product_id"))
        products = pc.if_else(has_nul, pa.scalar(None, pa.string()), products)
    return PhotoRows(products, uris, found, places, roles)


def without_photo_in_words(n_rows: int) -> str:
    """What is said of rows of sizes, colours and languages, for a person."""
    return f"{n_rows:,} {'row has' if n_rows == 1 else 'rows have'} no photo: passed over"


def _roles(uris: pa.Array, faults: pa.Array, places: np.ndarray, main: pa.Array | None) -> pa.StringArray:
    """What each row is for its product. main: of each of the manifest's rows the photos that it names for the product itself;
    None in a feed that has a row for each product."""
    if main is None:
        return pa.array([Role.PHOTO] * len(uris), pa.string())
    own = main.to_pylist()
    return pa.array(
        [
            Role.PHOTO if fault is not None or (uri is not None and uri in (own[place] or ()))
            else Role.NO_PHOTO if uri is None
            else Role.FURTHER
            for uri, fault, place in zip(uris.to_pylist(), faults.to_pylist(), places, strict=True)
        ],
        pa.string(),
    )  # fmt: skip


def _exploded(lists: pa.Array, faults: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The values of lists, each with the place of its list; null for a list that has none. Of a faulty row only the first."""
    n_rows = len(lists)
    values = lists.flatten()
    if len(values) == n_rows and pc.all(pc.equal(pc.list_value_length(lists), 1)).as_py():
        return values, np.arange(n_rows)
    parents = np.asarray(pc.list_parent_indices(lists))
    is_there = np.asarray(values.is_valid())
    is_faulty = np.asarray(faults.is_valid())
    is_first = np.concatenate([[True], parents[1:] != parents[:-1]]) if len(parents) else np.zeros(0, bool)
    is_there &= is_first | ~is_faulty[parents]
    empty = np.setdiff1d(np.arange(n_rows), parents[is_there])
    places = np.concatenate([parents[is_there], empty])
    order = np.argsort(places, kind="stable")
    all_values = pa.concat_arrays([values.filter(pa.array(is_there)), pa.nulls(len(empty), pa.string())])
    return all_values.take(pa.array(order)), places[order]
