"""A search as one picture to send around: the target, then the matches with their boxes and scores."""

from __future__ import annotations

import io
import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from prodseek.report.search_page import SearchResult

TILE_PX = 220
_COLUMNS = 5
_GAP_PX = 16
_TARGET_PX = 2 * TILE_PX + _GAP_PX
_LINE_PX = 19
_CAPTION_PX = 2 * _LINE_PX + 6
_SYSTEM_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf")
_PAGE, _TILE, _INK, _MUTED = "#f6f6f3", "#ffffff", "#1b1d20", "#5c6068"

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def render_sheet(result: SearchResult) -> bytes:
    """The picture as PNG, 1,196 px wide: the target, the question beside it, and below the matches in rows of five."""
    n_rows = -(-len(result.matches) // _COLUMNS)
    width_px = _COLUMNS * TILE_PX + (_COLUMNS + 1) * _GAP_PX
    target = _opened(result.target.thumbnail, _TARGET_PX)
    rows_at_px = 2 * _GAP_PX + (target.height if target else TILE_PX)
    height_px = rows_at_px + n_rows * (TILE_PX + _CAPTION_PX + _GAP_PX)
    sheet = Image.new("RGB", (width_px, height_px), _PAGE)
    draw = ImageDraw.Draw(sheet)
    large, normal = _font(26), _font(15)
    target_width_px = target.width if target else _TARGET_PX
    target_area = (_GAP_PX, _GAP_PX, _GAP_PX + target_width_px, rows_at_px - _GAP_PX)
    _paste(sheet, target, target_area, normal)
    text_at_px, text_width_px = 2 * _GAP_PX + _TARGET_PX, width_px - _TARGET_PX - 3 * _GAP_PX
    lines = _wrapped(draw, result.headline, large, text_width_px)
    for number, line in enumerate(lines):
        draw.text((text_at_px, _GAP_PX + 8 + 34 * number), line, _INK, large)
    asked = (f"likeness: {result.facet}", f"photo: {result.target.name}", f"run: {result.run_id}")
    facts = (result.notes, *asked) if result.notes else asked
    for number, fact in enumerate(facts):
        at = (text_at_px, _GAP_PX + 24 + 34 * len(lines) + 24 * number)
        draw.text(at, _cut(draw, fact, normal, text_width_px), _MUTED, normal)
    for place, match in enumerate(result.matches):
        row, column = divmod(place, _COLUMNS)
        left = _GAP_PX + column * (TILE_PX + _GAP_PX)
        top = rows_at_px + row * (TILE_PX + _CAPTION_PX + _GAP_PX)
        _paste(sheet, _opened(match.thumbnail, TILE_PX), (left, top, left + TILE_PX, top + TILE_PX), normal)
        name = _cut(
            draw,
            f"{match.rank}  {match.product_id}",
            normal,
            TILE_PX - round(draw.textlength(match.figure, font=normal)) - 8,
        )
        draw.text((left, top + TILE_PX + 5), name, _INK, normal)
        draw.text((left + TILE_PX, top + TILE_PX + 5), match.figure, _INK, normal, anchor="ra")
        draw.text((left, top + TILE_PX + 5 + _LINE_PX), _cut(draw, match.uri, normal, TILE_PX), _MUTED, normal)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _opened(thumbnail: bytes | None, side_px: int) -> Image.Image | None:
    if thumbnail is None:
        return None
    picture = Image.open(io.BytesIO(thumbnail)).convert("RGB")
    picture.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    return picture


def _paste(sheet: Image.Image, picture: Image.Image | None, area: tuple[int, int, int, int], font: _Font) -> None:
    """Put a picture into the middle of an area, x1 y1 x2 y2, or a note if there is none."""
    left, top, right, bottom = area
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((left, top, right - 1, bottom - 1), fill=_TILE)
    if picture is None:
        draw.text(((left + right) / 2, (top + bottom) / 2), "photo cannot be read", _MUTED, font, anchor="mm")
        return
    sheet.paste(picture, ((left + right - picture.width) // 2, (top + bottom - picture.height) // 2))


def _wrapped(draw: ImageDraw.ImageDraw, text: str, font: _Font, width_px: float) -> list[str]:
    lines = [""]
    for word in _shown(text, font).split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and draw.textlength(longer, font) > width_px:
            lines.append(word)
        else:
            lines[-1] = longer
    return [_cut(draw, line, font, width_px) for line in lines[:3]]


def _cut(draw: ImageDraw.ImageDraw, text: str, font: _Font, width_px: float) -> str:
    """The text, shortened in the middle to fit the width."""
    text = _shown(text, font)
    keep = len(text)
    shown = text
    while draw.textlength(shown, font) > width_px and keep > 2:
        keep -= 1
        shown = f"{text[: keep - keep // 2]}...{text[len(text) - keep // 2 :]}"
    return shown


@lru_cache
def _font(size_px: int) -> _Font:
    """A system font that has most letters, else Pillow's own, which has those of ASCII."""
    for name in _SYSTEM_FONTS:
        try:
            return ImageFont.truetype(name, size_px)
        except OSError:
            continue
    return ImageFont.load_default(size_px)


def _shown(text: str, font: _Font) -> str:
    """The text as one line; letters that the font lacks lose their accents or become question marks."""
    line = unicodedata.normalize("NFC", " ".join(text.split()))
    if Path(str(getattr(font, "path", ""))).name in _SYSTEM_FONTS:
        return line
    bare = "".join(mark for mark in unicodedata.normalize("NFKD", line) if not unicodedata.combining(mark))
    return bare.encode("ascii", "replace").decode()
