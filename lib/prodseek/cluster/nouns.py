"""What a group is called: the words that the catalogue says of most of its members and not of others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from prodseek.cluster.colours import is_colour_word
from prodseek.cluster.words import CATEGORY, FOLDER, NAME, SAID_IN, TITLE

# What is said of a group is true of at least this share of its members.
MOST: Final = 0.75
# Further words of a title are said of nearly all members, because together they are to be true of most.
_NEARLY_ALL = 0.9
_MOST_WORDS = 3
# A wider level names a group alone where at most this share of all others is there too; else narrower ones are listed.
_NARROW = 0.25
# What more of all others are says nothing of a group, were it the narrowest level of its category or a word of its titles.
EVERYWHERE: Final = 0.5
# Of the values that a list names, each has at least this share of the members.
_LISTED = 0.1
# Two products of a group share what names it this much more often than two of the catalogue: 0 by chance, 1 always. Folders
# by supplier or by date are spread over all groups. Chosen on the sample and magento, see `bench_titles.py`.
_CONSISTENT = 0.1


@dataclass(frozen=True)
class Phrase:
    """A phrase that the catalogue says of a group's members.

    n_members: of whom it is said. n_saying: of whom anything is said there. n_leaf: of whom it is the narrowest level, or the
    word that most others of the group share; n_root: the widest level. place: mean place in their texts, or depth of the
    level, from 0. n_everywhere: products of all groups of which it is said; others_share: share of the members of other groups,
    0..1. consistency: how much more often than by chance two products of a group share it, in all groups: 0 by chance, 1 always.
    """

    said_in: str
    text: str
    n_members: int
    n_leaf: int
    n_root: int
    place: float
    n_everywhere: int
    others_share: float
    consistency: float
    n_saying: int

    @property
    def weight(self) -> float:
        """How much it tells of what a thing is: a kind has many things in few groups, a name few, an adjective many groups."""
        return self.n_everywhere * self.consistency


@dataclass(frozen=True)
class Noun:
    """What a group is called. said_in: one of SAID_IN. more, levels: further words and levels that most members share."""

    text: str
    said_in: str
    more: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()


def noun_of(phrases: Iterable[Phrase], n_members: int) -> Noun | None:
    """A group's noun, from the first that has one: its categories, titles, folders, names. None where most share no word.

    The narrowest level, or the word that tells most of what a thing is; several where categories or folders disagree: `toys, some
    lamps`. What is said of all groups alike tells nothing, except for a category. What most of the catalogue is, such as
    the first level of a shop's categories, names a group only where nothing narrower is found anywhere. Members of whom a
    column says nothing do not disagree, as long as they are at most half.
    """
    said: dict[str, list[Phrase]] = {}
    for phrase in sorted(phrases, key=lambda one: (-one.n_members, one.text)):
        said.setdefault(phrase.said_in, []).append(phrase)
    telling = {said_in: [one for one in found if one.consistency >= _CONSISTENT] for said_in, found in said.items()}
    leaves = {CATEGORY: said.get(CATEGORY, []), FOLDER: telling.get(FOLDER, [])}
    n_of = {said_in: _n_asked(said.get(said_in, []), n_members) for said_in in SAID_IN}
    narrow = {said_in: _of_levels(found, telling.get(said_in, []), n_of[said_in]) for said_in, found in leaves.items()}
    words = {said_in: _of_words(telling.get(said_in, []), n_of[said_in]) for said_in in (TITLE, NAME)}
    wide_words = _of_words(telling.get(TITLE, []), n_of[TITLE], is_wide=True)
    wide = {
        said_in: _of_wide_levels(found, telling.get(said_in, []), n_of[said_in]) for said_in, found in leaves.items()
    }
    for said_in, text in (
        (CATEGORY, narrow[CATEGORY]),
        (TITLE, words[TITLE]),
        (FOLDER, narrow[FOLDER]),
        (CATEGORY, wide[CATEGORY]),
        (FOLDER, wide[FOLDER]),
        (NAME, words[NAME]),
        (TITLE, wide_words),
    ):
        if text:
            more, levels = (_more(text, telling, places, n_members) for places in ((TITLE, NAME), (CATEGORY, FOLDER)))
            mostly = _mostly([*leaves[CATEGORY], *leaves[FOLDER]], text, n_members)
            if mostly and any(one.n_root and one.text == text for one in said[said_in]):
                text, mostly = f"{text}, {mostly}", None
            return Noun(text, said_in, more, (*levels, mostly) if mostly else levels)
    return None


def _n_asked(found: Sequence[Phrase], n_members: int) -> int:
    """Of how many members something must be said: of those that say anything, where these are more than half."""
    n_saying = max((one.n_saying for one in found), default=0)
    return n_saying if n_members < 2 * n_saying < 2 * n_members else n_members


def listed(counts: Mapping[str, int], n_named: int, n_members: int) -> str | None:
    """The most frequent values of members that have one each: `toys, some lamps`, `toys and lamps` where they are about as many.

    Those of which one is a list itself have strokes between: `coats & jackets / shirts`. None where they are not most of the
    members, the last of them is rare, or others are as many as the last.
    """
    in_order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    found = in_order[:n_named]
    if len(in_order) > n_named and in_order[n_named][1] == found[-1][1]:
        return None
    if len(found) < n_named or sum(n for _, n in found) < MOST * n_members or found[-1][1] < _LISTED * n_members:
        return None
    (_, n_before), (last, n_last) = found[-2:]
    comma, last_comma = (" / ", " / ") if any(map(_is_list, dict(found))) else (", ", " and ")
    first = comma.join(text for text, _ in found[:-1])
    return f"{first}{last_comma}{last}" if 3 * n_last >= 2 * n_before else f"{first}, some {last}"


def _is_list(text: str) -> bool:
    return any(sign in text for sign in ("&", "+", ",", " and ", " und ", " et ", " e ", " y ", " en "))


def is_borne_out(title: str, said_in: str, phrases: Iterable[Phrase], n_members: int, own_words: Set[str]) -> bool:
    """Whether the members still bear out an earlier title: half of them a phrase of it, and some of them each of its words.

    own_words: what titles say beside what the catalogue says, such as colours; and numbers.
    """
    said = list(phrases)
    shown = title.casefold()
    is_named = any(
        one.said_in == said_in and 2 * one.n_members >= n_members and one.text.casefold() in shown for one in said
    )
    known = {word for one in said for word in _single_words(one.text)}
    return is_named and all(word in known or word in own_words or word.isdigit() for word in _single_words(title))


def _single_words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _of_levels(leaves: Sequence[Phrase], inner: Sequence[Phrase], n_members: int) -> str | None:
    """What a group is called by levels that tell it from others.

    leaves, inner: the most frequent first; which may name a group as the narrowest level, and which as a wider one.
    """
    alone = [one for one in leaves if one.n_leaf >= MOST * n_members and not _is_everywhere(one)]
    wider = [one for one in inner if one.n_members >= MOST * n_members and not _is_everywhere(one)]
    between = [one for one in wider if not one.n_root]
    of_leaf = {one.text: one.n_leaf for one in leaves}
    return (
        _deepest([*alone, *(one for one in between if one.others_share <= _NARROW)])
        or listed(of_leaf, 2, n_members)
        or _deepest(between)
        or _deepest(one for one in wider if one.others_share <= _NARROW)
        or listed(of_leaf, 3, n_members)
        or _listed_between(inner, n_members)
    )


def _of_wide_levels(leaves: Sequence[Phrase], inner: Sequence[Phrase], n_members: int) -> str | None:
    """What a group is called by what much of the catalogue is. Arguments as for `_of_levels`."""
    shared = [one for one in leaves if one.n_leaf >= MOST * n_members]
    shared += [one for one in inner if one.n_members >= MOST * n_members]
    return _deepest(shared) or listed({one.text: one.n_root for one in inner}, 2, n_members)


def _is_everywhere(one: Phrase) -> bool:
    return one.others_share > EVERYWHERE


def _listed_between(inner: Sequence[Phrase], n_members: int) -> str | None:
    """Levels between the widest and the narrowest, the deepest that three say: `Tops, some Bottoms`."""
    between = [one for one in inner if not one.n_root and one.n_members > one.n_leaf]
    for depth in sorted({one.place for one in between}, reverse=True):
        counts = {one.text: one.n_members for one in between if one.place == depth}
        found = listed(counts, 2, n_members) or listed(counts, 3, n_members)
        if found:
            return found
    return None


def _mostly(leaves: Sequence[Phrase], text: str, n_members: int) -> str | None:
    """The narrowest level of half of the members, to tell groups of one wider level apart: `mostly watches`."""
    words = text.casefold()
    half = [
        one for one in leaves if n_members <= 2 * one.n_leaf < 2 * MOST * n_members and one.text.casefold() not in words
    ]
    return f"mostly {half[0].text}" if half else None


def _deepest(levels: Iterable[Phrase]) -> str | None:
    found = min(levels, key=lambda one: (-one.place, one.others_share, one.text), default=None)
    return None if found is None else found.text


def _of_words(phrases: Sequence[Phrase], n_members: int, is_wide: bool = False) -> str | None:
    """The two words that tell most of what a thing is, and the rarest that nearly all share, in the order of the texts.

    Words of colour are no kinds of things; what is seen says them better. is_wide: also those that much of the catalogue has.
    """
    words = [one for one in phrases if not is_colour_word(one.text) and (is_wide or not _is_everywhere(one))]
    shared = [one for one in words if one.n_members >= MOST * n_members]
    if not shared:
        of_best = {one.text: one.n_leaf for one in words}
        return listed(of_best, 2, n_members) or listed(of_best, 3, n_members)
    kinds = sorted(shared, key=lambda one: (-one.weight, -one.place, one.text))
    further = [one for one in kinds[1:] if one.n_members >= _NEARLY_ALL * n_members]
    rarest = sorted(further[1:], key=lambda one: (one.others_share, one.text))
    chosen = sorted([kinds[0], *further[:1], *rarest[:1]], key=lambda one: (one.place, one.text))
    return " ".join(one.text for one in chosen)


def _more(text: str, telling: Mapping[str, Sequence[Phrase]], places: Iterable[str], n_members: int) -> tuple[str, ...]:
    """What most members share beside a noun, the most telling first."""
    words = text.casefold()
    shared = [
        one
        for said_in in places
        for one in telling.get(said_in, [])
        if one.n_members >= MOST * n_members and one.text.casefold() not in words and not _is_everywhere(one)
    ]
    shared.sort(key=lambda one: (one.others_share, -one.n_members, one.text))
    return tuple(dict.fromkeys(one.text for one in shared))[:_MOST_WORDS]
