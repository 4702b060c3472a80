"""What a person may call a group: from its members' classes, colours and catalogue attributes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from prodseek.cluster.colours import colour_name

# A class, colour or category names a group when at least this share of the members that have one agree.
DOMINANT_SHARE = 0.5


@dataclass(frozen=True)
class MemberFacts:
    """What is known of a member. rgb: its dominant colour, 0..255; category, title: from the catalogue."""

    class_name: str | None = None
    rgb: tuple[int, int, int] | None = None
    category: str | None = None
    title: str | None = None


@dataclass(frozen=True)
class GroupTitle:
    """A group's title, unique among its groups, and what it was made of; None where nothing dominates."""

    title: str
    dominant_class: str | None
    dominant_colour: str | None


def group_titles(groups: Mapping[int, Sequence[MemberFacts]]) -> dict[int, GroupTitle]:
    """Name every group: colour, then its categories (or the detected class, or a word that its titles share).

    groups: label -> members. Equal names are told apart by a word of their titles, else by a number.
    """
    words = _telling_words(groups)
    made: dict[int, GroupTitle] = {}
    taken: set[str] = set()
    for label in sorted(groups, key=lambda label: (-len(groups[label]), label)):
        members = groups[label]
        dominant_class = _dominant(member.class_name for member in members)
        colour = _dominant(None if member.rgb is None else colour_name(member.rgb) for member in members)
        categories = _most_common(member.category for member in members)
        noun = categories or dominant_class or (words[label][0] if words[label] else "look-alikes")
        title = f"{colour} {noun}" if colour else noun
        if title in taken:
            told_apart = [f"{title}, {word}" for word in words[label] if word not in title.split()]
            told_apart += [f"{title} {number}" for number in range(2, len(groups) + 2)]
            title = next(candidate for candidate in told_apart if candidate not in taken)
        taken.add(title)
        made[label] = GroupTitle(title, dominant_class, colour)
    return made


def _dominant(values: Iterable[str | None]) -> str | None:
    counts = Counter(value for value in values if value)
    if not counts:
        return None
    value, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return value if count >= DOMINANT_SHARE * counts.total() else None


def _most_common(categories: Iterable[str | None]) -> str | None:
    """The category that dominates, else the two most frequent ones."""
    counts = Counter(category for category in categories if category)
    ordered = sorted(counts, key=lambda category: (-counts[category], category))
    if not ordered:
        return None
    return ordered[0] if counts[ordered[0]] >= DOMINANT_SHARE * counts.total() else " and ".join(ordered[:2])


def _telling_words(groups: Mapping[int, Sequence[MemberFacts]]) -> dict[int, list[str]]:
    """Words that at least a third of a group's titles hold and other groups' titles do not (TF-IDF), best first."""
    labels = sorted(groups)
    texts = [" ".join(member.title or "" for member in groups[label]) for label in labels]
    vectorizer = TfidfVectorizer(token_pattern=r"(?u)\b[^\W\d]{3,}\b", stop_words="english", sublinear_tf=True)
    try:
        scores = vectorizer.fit_transform(texts)
    except ValueError:
        # No title holds a word: scikit-learn has nothing to build a vocabulary from.
        return {label: [] for label in labels}
    vocabulary = vectorizer.get_feature_names_out()
    found: dict[int, list[str]] = {}
    for row, label in enumerate(labels):
        weights = scores[row].toarray().ravel()
        ranked = [str(vocabulary[index]) for index in np.argsort(-weights, kind="stable") if weights[index] > 0]
        titles = [(member.title or "").lower() for member in groups[label]]
        found[label] = [word for word in ranked if 3 * sum(word in title for title in titles) >= len(titles)][:3]
    return found
