"""Titles of groups, made from their members' classes, colours and attributes in the catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

import numpy as np

from prodseek.cluster.colours import colour_name

# A class, colour or category names a group if at least this share of the members that have one agree on it.
DOMINANT_SHARE = 0.5
# A group is called small or large if its members fill less or more than these shares of their photos.
SMALL_AREA, LARGE_AREA = 0.15, 0.7


@dataclass(frozen=True)
class MemberFacts:
    """What is known about a member of a group; None where unknown.

    rgb: dominant colour, 0..255 each. category, title: from the catalogue. texture: a word from `textures`. area_fraction: its
    share of the photo, 0..1.
    """

    class_name: str | None = None
    rgb: tuple[int, int, int] | None = None
    category: str | None = None
    title: str | None = None
    texture: str | None = None
    area_fraction: float | None = None


@dataclass(frozen=True)
class GroupTitle:
    """A group's title, unique among the groups, and its dominant class and colour; None if none dominates."""

    title: str
    dominant_class: str | None
    dominant_colour: str | None


Key = TypeVar("Key", int, tuple[str, int])


def group_titles(
    groups: Mapping[Key, Sequence[MemberFacts]], kept: Mapping[Key, str] | None = None, taken: Iterable[str] = ()
) -> dict[Key, GroupTitle]:
    """Name each group: its colour, then its categories (or the detected class, or a word that its titles share).

    groups: key -> members; the largest group chooses first. kept: titles that groups already have. taken: titles that no
    group may get. Groups with equal names are told apart by a word from their titles, by texture, by size, or by a number.
    """
    words = _telling_words(groups)
    titles: dict[Key, str] = {} if kept is None else dict(kept)
    taken = {*taken, *titles.values()}
    made: dict[Key, GroupTitle] = {}
    for key in sorted(groups, key=lambda key: (-len(groups[key]), key)):
        members = groups[key]
        dominant_class = _dominant(member.class_name for member in members)
        colour = _dominant(None if member.rgb is None else colour_name(member.rgb) for member in members)
        title = titles.get(key)
        if title is None:
            noun = _most_common(member.category for member in members) or dominant_class
            noun = noun or (words[key][0] if words[key] else "look-alikes")
            name = f"{colour} {noun}" if colour and colour != noun else noun
            title = next(candidate for candidate in _candidates(name, words[key], members) if candidate not in taken)
            taken.add(title)
        made[key] = GroupTitle(title, dominant_class, colour)
    return made


def _candidates(name: str, words: Sequence[str], members: Sequence[MemberFacts]) -> Iterator[str]:
    yield name
    yield from (f"{name}, {word}" for word in words if word not in name.split())
    texture = _dominant(member.texture for member in members)
    size = _size(members)
    if texture:
        yield f"{texture} {name}"
    if size:
        yield f"{size} {name}"
    if texture and size:
        yield f"{size} {texture} {name}"
    yield from (f"{name} {number}" for number in count(2))


def _size(members: Sequence[MemberFacts]) -> str | None:
    areas = [member.area_fraction for member in members if member.area_fraction is not None]
    if not areas:
        return None
    area_fraction = float(np.median(areas))
    return "small" if area_fraction < SMALL_AREA else "large" if area_fraction > LARGE_AREA else None


def _dominant(values: Iterable[str | None]) -> str | None:
    counts = Counter(value for value in values if value)
    if not counts:
        return None
    value, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return value if count >= DOMINANT_SHARE * counts.total() else None


def _most_common(categories: Iterable[str | None]) -> str | None:
    """The dominant category, else the two most frequent ones; None if there are no categories."""
    counts = Counter(category for category in categories if category)
    ordered = sorted(counts, key=lambda category: (-counts[category], category))
    if not ordered:
        return None
    return ordered[0] if counts[ordered[0]] >= DOMINANT_SHARE * counts.total() else " and ".join(ordered[:2])


def _telling_words(groups: Mapping[Key, Sequence[MemberFacts]]) -> dict[Key, list[str]]:
    """Words that at least a third of a group's titles contain and that tell it from other groups (TF-IDF), best first."""
    # Imported here, because it takes seconds.
    from sklearn.feature_extraction.text import TfidfVectorizer

    labels = sorted(groups)
    texts = [" ".join(member.title or "" for member in groups[label]) for label in labels]
    vectorizer = TfidfVectorizer(token_pattern=r"(?u)\b[^\W\d]{3,}\b", stop_words="english", sublinear_tf=True)
    try:
        scores = vectorizer.fit_transform(texts)
    except ValueError:
        # No title contains a word, so scikit-learn cannot build a vocabulary.
        return {label: [] for label in labels}
    vocabulary = vectorizer.get_feature_names_out()
    found: dict[Key, list[str]] = {}
    for row, label in enumerate(labels):
        weights = scores[row].sorted_indices()
        ranked = [str(vocabulary[weights.indices[place]]) for place in np.argsort(-weights.data, kind="stable")]
        titles = [(member.title or "").lower() for member in groups[label]]
        found[label] = [word for word in ranked if 3 * sum(word in title for title in titles) >= len(titles)][:3]
    return found
