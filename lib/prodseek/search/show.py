"""The answer to a search for people: a table in the terminal, JSON, a page, a picture."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import rich.console
from rich.markup import escape
from rich.table import Column, Table

from prodseek.catalogue.photo_source import read_photo
from prodseek.catalogue.web import is_web
from prodseek.embedding.confidence import RIVALS
from prodseek.errors import PromptError
from prodseek.photos.decode import DecodedImage, ImageLimits, ImageRejected, decode_image
from prodseek.report import wording
from prodseek.report.search_page import Match, SearchResult, Target, render_search
from prodseek.report.search_sheet import TILE_PX, render_sheet
from prodseek.report.thumbnails import thumbnail
from prodseek.runs.class_words import class_words
from prodseek.runs.columns import FACETS, LIKENESS
from prodseek.search.hits import Hit, left_out, nothing_found, nothing_likely
from prodseek.search.likeness import Likeness
from prodseek.search.prompts import Box, PromptFault, check_box, parse_box
from prodseek.search.searchable import FoundObject, SearchableRun, check_question
from prodseek.storage import files
from prodseek.storage.read_ahead import map_ahead

_THUMBNAIL_PX = 2 * TILE_PX  # sharp on screens with a pixel ratio of 2
_DECODE_THREADS = 4


@dataclass(frozen=True)
class Question:
    """A question on the command line: a photo, perhaps with a box or an object's number; or a region."""

    image: str | None = None
    box: str | None = None
    object_number: int | None = None
    region: int | None = None
    k: int = 20
    facet: str = LIKENESS
    exclude_same_product: bool = False
    min_confidence: float | None = None

    def check(self) -> None:
        """Raise PromptError for a question that asks for nothing, or for two things at once."""
        if (self.image is None) == (self.region is None):
            raise PromptError(
                PromptFault.INVALID_PROMPT,
                "a search starts from a photo or from a region of the catalogue: give either --image PHOTO or --region ID",
            )
        if self.region is not None and (self.box or self.object_number is not None):
            raise PromptError(
                PromptFault.INVALID_PROMPT, "--region brings its own box: leave out --box and --object, or give --image"
            )
        if self.box and self.object_number is not None:
            raise PromptError(PromptFault.INVALID_PROMPT, "--box and --object both say what is meant: give one of them")
        check_question(self.k, self.facet, self.min_confidence)

    @property
    def asks_for_objects(self) -> bool:
        """Whether to list the objects of a photo, for the person to choose one."""
        return self.region is None and self.box is None and self.object_number is None


@dataclass(frozen=True)
class Answer:
    """The answer to a question. photo: the target's photo, as it was named. photo_uri: its location. box_px: the target's box.

    notes: sentences on what is not among the hits: anything at all, anything likely, those that are too unsure.
    """

    run_id: str
    photo: str
    photo_uri: str
    box_px: Box
    facet: str
    hits: list[Hit]
    notes: tuple[str, ...] = ()


def answer(searchable: SearchableRun, question: Question) -> Answer:
    """Answer a question. Raises as `SearchableRun.search`."""
    if question.region is not None:
        place = searchable.place(question.region)
        number = int(searchable.regions.images[place])
        photo = searchable.regions.photos["uri"][searchable.regions.rows_of(number)[0]].as_py()
        photo_uri = searchable.photos.place(photo, searchable.regions.image_ids[number].as_py())
        query, box = searchable.query_of(question.region), searchable.regions.box_px(place)
    else:
        photo = str(question.image)
        photo_uri = searchable.location(photo)
        drawn = parse_box(question.box) if question.box else _object(searchable, photo, question.object_number).box_px
        decoded = searchable.read(photo)
        box = check_box(drawn, decoded.image.width_px, decoded.image.height_px)
        (query,) = searchable.embed(decoded, [box])
    options = question.facet, question.exclude_same_product
    hits = searchable.nearest(query, question.k, *options, question.min_confidence)
    every = searchable.nearest(query, question.k, *options, min_confidence=0.0)
    asked, usual = question.min_confidence, searchable.config.search.min_confidence
    spared = hits if asked is None and len(hits) <= RIVALS else []
    below = left_out(len(every) - len(hits), usual if asked is None else asked, spared)
    notes = tuple(filter(None, (nothing_likely(hits), below))) if hits else (nothing_found(every),)
    run_id, facet = searchable.run.run_id, str(Likeness.parse(question.facet))
    return Answer(run_id, photo, photo_uri, box, facet, hits, notes)


def _object(searchable: SearchableRun, image: str, number: int | None) -> FoundObject:
    found = searchable.objects(image)
    for each in found:
        if each.number == number:
            return each
    listing = shlex.join(["prodseek", "search", "--root", searchable.run.root, "--image", image])
    raise PromptError(
        PromptFault.INVALID_PROMPT,
        f"the photo {image!r} has no object {number}; it has 1 to {len(found)}, and `{listing}` lists them",
    )


def print_objects(image: str, root: str, objects: Sequence[FoundObject]) -> None:
    """Print the objects of a photo to choose from, and the command that searches with one."""
    table = Table("object", "what", "score", "box, px", "region", box=None, header_style="bold")
    for each in objects:
        table.add_row(
            str(each.number),
            escape(class_words(each.class_name) or each.kind),
            "" if each.score is None else f"{each.score:.2f}",
            _written(each.box_px),
            "" if each.detection_id is None else str(each.detection_id),
        )
    _print(table)
    options = shlex.join(["--root", root, "--image", image, "--object", "1"])
    print(f"\nchoose one: {_program()} search {options}")


def _program() -> str:
    """What to type for prodseek: its name if the shell finds it, else its path."""
    if shutil.which("prodseek"):
        return "prodseek"
    return shlex.quote(os.path.relpath(Path(sys.executable).with_name("prodseek")))


def print_hits(found: Answer) -> None:
    """Print the hits, and what is not among them; in a narrow terminal, names continue on the next line."""
    for note in found.notes:
        print(note)
    if not found.hits:
        return
    table = Table(
        "",
        Column("product", overflow="fold"),
        "sure",
        "cosine",
        *FACETS,
        Column("photo", overflow="fold"),
        Column("region", no_wrap=True),
        box=None,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    for hit in found.hits:
        table.add_row(
            str(hit.rank),
            escape(hit.product_id),
            "" if hit.confidence is None else wording.chance(hit.confidence),
            f"{hit.cosine_similarity:.3f}",
            *(f"{hit.facets[facet]:.2f}" for facet in FACETS),
            escape(hit.uri),
            str(hit.detection_id),
        )
    _print(table)
    if found.facet == LIKENESS:
        print(f"ranked by {wording.ranked_by(LIKENESS)}")


def as_json(values: Answer | Sequence[FoundObject]) -> str:
    """An answer, or the objects of a photo, as JSON."""
    plain = asdict(values) if isinstance(values, Answer) else {"objects": [asdict(each) for each in values]}
    return json.dumps(plain, indent=2, ensure_ascii=False)


def write_pictures(searchable: SearchableRun, found: Answer, html: str | None, png: str | None) -> None:
    """Write the page and the picture, if they are asked for, with the photos in them."""
    if not html and not png:
        return
    limits = searchable.config.images.limits
    # The user's own file may be anywhere; a photo on a web server belongs to the catalogue.
    read = searchable.photos.read if is_web(found.photo_uri) else partial(read_photo, max_bytes=limits.max_bytes)
    wanted = [
        (partial(read, found.photo_uri), found.box_px),
        *((partial(searchable.photos.read, hit.uri, hit.image_id), hit.box_px) for hit in found.hits),
    ]
    target, *others = map_ahead(lambda each: _marked(*each, limits), wanted, _DECODE_THREADS)
    result = SearchResult(
        found.run_id,
        found.facet,
        Target(found.photo, found.box_px, target),
        tuple(
            Match(
                hit.rank,
                hit.product_id,
                hit.uri,
                hit.box_px,
                hit.detection_id,
                hit.cosine_similarity,
                hit.confidence,
                hit.facets,
                picture,
            )
            for hit, picture in zip(found.hits, others, strict=True)
        ),
        " ".join(map(_sentence, found.notes)),
    )
    if html:
        files.write_bytes(files.absolute(html), render_search(result))
    if png:
        files.write_bytes(files.absolute(png), render_sheet(result))


def _marked(read: Callable[[], bytes], box: Box, limits: ImageLimits) -> bytes | None:
    """A photo's thumbnail with a box drawn; None if the photo can no longer be read."""
    try:
        image: DecodedImage = decode_image(read(), limits, _THUMBNAIL_PX)
    except ImageRejected:
        return None
    return thumbnail(image.pixels, _THUMBNAIL_PX, box, "draw", (image.width_px, image.height_px))


def _print(table: Table) -> None:
    console = rich.console.Console(highlight=False)
    if not console.is_terminal:
        # For a program that reads the output, each row is one line, however long.
        console = rich.console.Console(highlight=False, width=4096)
    console.print(table)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _written(box: Box) -> str:
    return ",".join(f"{edge:.0f}" for edge in box)
