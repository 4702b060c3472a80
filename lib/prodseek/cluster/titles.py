"""Titles of groups: what the catalogue says of most members and not of others, else what is detected, else what is seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, count
from typing import TypeVar

from prodseek.cluster.class_words import class_words
from prodseek.cluster.colours import colour_name, is_colour_word, tone_name
from prodseek.cluster.nouns import MOST, Noun, Phrase, is_borne_out, listed, noun_of
from prodseek.cluster.words import SAID_IN

# What a title is made from: what the catalogue says, as in SAID_IN, what is detected, or what is seen.
CLASS, LOOK = "class", "look"
TITLE_FROM = (*SAID_IN, CLASS, LOOK)

Key = TypeVar("Key", int, tuple[str, int])


@dataclass(frozen=True)
class Look:
    """What a member looks like. rgb: dominant colour, 0..255 each. texture: a word from `textures`; None if none is clear."""

    rgb: tuple[int, int, int]
    texture: str | None = None


@dataclass(frozen=True)
class GroupFacts:
    """What is known about a group.

    phrases: what the catalogue says of its members. classes: detected with confidence -> members. shapes, sizes: such as
    `tall` and `small` -> members. looks: of a few members.
    """

    n_members: int
    phrases: tuple[Phrase, ...] = ()
    classes: Mapping[str, int] = field(default_factory=dict)
    shapes: Mapping[str, int] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    looks: tuple[Look, ...] = ()


@dataclass(frozen=True)
class GroupTitle:
    """A group's title, unique among the groups; title_from: one of TITLE_FROM; the class and colour that most members have."""

    title: str
    title_from: str
    dominant_class: str | None
    dominant_colour: str | None


@dataclass(frozen=True)
class KeptTitle:
    """The title that a group had in the last night."""

    title: str
    title_from: str


def group_titles(
    groups: Mapping[Key, GroupFacts], kept: Mapping[Key, KeptTitle] | None = None, taken: Iterable[str] = ()
) -> dict[Key, GroupTitle]:
    """Name each group: its colour and what the catalogue says of it, else what is detected, else how it looks.

    groups: key -> facts; the largest group chooses first. kept: titles that groups already have; they stay where they are
    still true. taken: titles that no group may get. Groups with equal names are told apart by further words that their members
    share, by outline, pattern and size, by wider levels, or by a number.
    """
    nouns = {key: noun_of(facts.phrases, facts.n_members) for key, facts in groups.items()}
    still: dict[Key, KeptTitle] = {
        key: one for key, one in (kept or {}).items() if _is_still_true(one, groups[key], nouns[key])
    }
    used = {*taken, *(one.title for one in still.values())}
    made: dict[Key, GroupTitle] = {}
    for key in sorted(groups, key=lambda key: (-groups[key].n_members, key)):
        facts, noun = groups[key], nouns[key]
        look = _SharedLook.of(facts)
        dominant_class = _most(facts.classes, facts.n_members)
        if key in still:
            title, title_from = still[key].title, still[key].title_from
        else:
            title_from = noun.said_in if noun else CLASS if dominant_class else LOOK
            title = next(name for name in _names(noun, dominant_class, look) if name not in used)
            used.add(title)
        made[key] = GroupTitle(title, title_from, dominant_class, look.colour)
    return made


def _is_still_true(kept: KeptTitle, facts: GroupFacts, noun: Noun | None) -> bool:
    """What a photo shows does not change, so of a look only a better name makes the title untrue."""
    if kept.title_from == LOOK:
        return noun is None
    if kept.title_from == CLASS:
        dominant = _most(facts.classes, facts.n_members)
        return noun is None and dominant is not None and class_words(dominant) in kept.title
    return is_borne_out(kept.title, kept.title_from, facts.phrases, facts.n_members)


@dataclass(frozen=True)
class _SharedLook:
    """What most members look like; None where they do not agree. colours: such as `grey, some blue`. is_seen: a few were."""

    colour: str | None
    colours: str | None
    tone: str | None
    shape: str | None
    pattern: str | None
    size: str | None
    is_seen: bool

    @classmethod
    def of(cls, facts: GroupFacts) -> _SharedLook:
        n = len(facts.looks)
        names = Counter(colour_name(look.rgb) for look in facts.looks)
        families = Counter(colour_name(look.rgb).split()[-1] for look in facts.looks)
        tones = Counter(tone for look in facts.looks if (tone := tone_name(look.rgb)))
        return cls(
            _most(names, n) or _most(families, n),
            listed(families, 2, n) or listed(families, 3, n),
            _most(tones, n),
            _most(facts.shapes, facts.n_members),
            _most(Counter(look.texture for look in facts.looks if look.texture), n),
            _most(facts.sizes, facts.n_members),
            n > 0,
        )

    @property
    def further(self) -> list[str]:
        """Words beside the colour, the most telling first."""
        return [word for word in (None if self.colour else self.tone, self.shape, self.pattern, self.size) if word]


def _most(counts: Mapping[str, int], n: int) -> str | None:
    """The most frequent, where it is true of MOST of n."""
    found = min(counts, key=lambda name: (-counts[name], name), default=None)
    return found if found is not None and counts[found] >= MOST * n else None


def _names(noun: Noun | None, dominant_class: str | None, look: _SharedLook) -> Iterator[str]:
    """Names for a group, the best first, without end."""
    called = noun.text if noun else class_words(dominant_class) if dominant_class else None
    if called is None:
        first = look.colour or (None if look.tone else look.colours)
        name = ", ".join([*([first] if first else []), *look.further]) or (
            "many colours" if look.is_seen else "various"
        )
        further = [look.colours] if look.colours and look.colours != first and not look.colour else []
    else:
        is_coloured = any(is_colour_word(word) for word in called.split())
        is_list = "," in called or " and " in called
        name = f"{look.colour} {called}" if look.colour and not is_coloured and not is_list else called
        further = [*(noun.more if noun else ()), *look.further]
        if look.colour and is_list:
            further.append(look.colour)
        if look.colours and not look.colour and not is_coloured and "," not in look.colours:
            further.append(look.colours)
        further += noun.levels if noun else ()
    yield name
    for n_words in range(1, len(further) + 1):
        yield from (", ".join([name, *words]) for words in combinations(further, n_words))
    yield from (f"{name} {number}" for number in count(2))
