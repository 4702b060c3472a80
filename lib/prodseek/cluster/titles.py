"""Titles of groups: what the catalogue says of most members and not of others, else what is detected, else what is seen."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import combinations
from typing import Final, TypeVar

from prodseek.cluster.colours import COLOUR_NAMES, colour_name, english_colour, is_colour_word
from prodseek.cluster.group_facts import QUARTER, GroupFacts, Look, SharedLook, common_words, most_frequent
from prodseek.cluster.nouns import Noun, Phrase, is_borne_out, noun_of
from prodseek.cluster.words import SAID_IN
from prodseek.runs.class_words import class_words

# What a title is made from: what the catalogue says, as in SAID_IN, what is detected, or what is seen.
CLASS, LOOK = "class", "look"
TITLE_FROM = (*SAID_IN, CLASS, LOOK)
# A class that names no group, because people wear what is sold.
_WEARER = "person"

# What titles say beside what the catalogue says.
_OWN_WORDS: Final = frozenset(
    word
    for words in (
        "and some mostly undivided in the photo",
        "tall wide small filling plain patterned striped dark light",
        *COLOUR_NAMES,
    )
    for word in words.split()
)

Key = TypeVar("Key", int, tuple[str, int])


@dataclass(frozen=True)
class GroupTitle:
    """A group's title, unique among the groups. title_from: one of TITLE_FROM.

    dominant_class, dominant_colour: what MOST members have; None where there is no such.
    """

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
    still true and nothing better is known. taken: titles that no group may get. Groups with equal names are told apart by further
    words that their members share and not all of the others, by outline, pattern and size, by wider levels, by what half
    of them are, by being all of a group of the other level, or, if all this is equal, by a number.
    """
    nouns = {key: noun_of(facts.phrases, facts.n_members) for key, facts in groups.items()}
    still: dict[Key, KeptTitle] = {
        key: one for key, one in (kept or {}).items() if _is_still_true(one, groups[key], nouns[key])
    }
    used = {*taken, *(one.title for one in still.values())}
    for key, one in still.items():
        spelled = _spelled_as_today(one, groups[key].phrases)
        if spelled not in used:
            still[key] = KeptTitle(spelled, one.title_from)
            used.add(spelled)
    made: dict[Key, GroupTitle] = {}
    numbers: Counter[str] = Counter()
    common = common_words(groups.values())
    looks = {key: SharedLook.of(facts, common) for key, facts in groups.items()}
    called = {key: _called(nouns[key], facts, looks[key]) for key, facts in groups.items()}
    rivals = _words_of_rivals(groups, called)
    levels_of: dict[Hashable, set[object]] = {}
    for key in sorted(groups, key=lambda key: (-groups[key].n_members, key)):
        facts, look = groups[key], looks[key]
        dominant_class = most_frequent(facts.classes, facts.n_members)
        if key in still:
            title, title_from = still[key].title, still[key].title_from
        else:
            title_from = _basis(nouns[key], _naming_class(facts))
            others = [
                words
                for other, words in rivals[called[key][0]]
                # One that is undivided has the same members.
                if other != key and _members_of(groups[other]) != _members_of(facts)
            ]
            names = _names(*called[key], others)
            if levels_of.get(_members_of(facts), set()) - {_level_of(key)}:
                names.append(f"{names[0]}, undivided")
            title = _first_free(names, used, numbers)
            used.add(title)
        levels_of.setdefault(_members_of(facts), set()).add(_level_of(key))
        made[key] = GroupTitle(title, title_from, dominant_class, look.colour)
    return made


def _level_of(key: int | tuple[str, int]) -> object:
    return key[0] if isinstance(key, tuple) else None


def _members_of(facts: GroupFacts) -> Hashable:
    """What is equal for a group and for the group of the other level that has the same members."""
    said = frozenset((one.said_in, one.text, one.n_members) for one in facts.phrases)
    return (
        facts.n_members,
        said,
        facts.looks,
        *(frozenset(of.items()) for of in (facts.classes, facts.shapes, facts.sizes)),
    )


def _first_free(names: Sequence[str], used: Set[str], numbers: Counter[str]) -> str:
    """The first name that is not used, else the best with a number. numbers: the last one of each name, which is counted on."""
    for name in names:
        if name not in used:
            return name
    best = names[0]
    while True:
        numbers[best] += 1
        numbered = f"{best} {numbers[best] + 1}"
        if numbered not in used:
            return numbered


def _basis(noun: Noun | None, named_class: str | None) -> str:
    return noun.said_in if noun else CLASS if named_class else LOOK


def _is_still_true(kept: KeptTitle, facts: GroupFacts, noun: Noun | None) -> bool:
    """What a photo shows does not change, so of a look only a better name makes the title untrue, or a colour that nobody has."""
    dominant = _naming_class(facts)
    called = noun.text if noun else class_words(dominant) if dominant and kept.title_from == CLASS else ""
    colour = kept.title.split(",")[0].removesuffix(called).strip()
    if colour != facts.said_colour and _is_colour_of_nobody(colour, facts.looks):
        return False
    if TITLE_FROM.index(_basis(noun, dominant)) < TITLE_FROM.index(kept.title_from):
        return False
    if kept.title_from == LOOK:
        return True
    if kept.title_from == CLASS:
        return dominant is not None and class_words(dominant) in kept.title
    return is_borne_out(kept.title, kept.title_from, facts.phrases, facts.n_members, _OWN_WORDS)


def _spelled_as_today(kept: KeptTitle, phrases: Iterable[Phrase]) -> str:
    spelled = {one.text.casefold(): one.text for one in phrases if one.said_in == kept.title_from}
    if not spelled:
        return kept.title
    longest_first = "|".join(re.escape(text) for text in sorted(spelled.values(), key=len, reverse=True))
    found = re.compile(rf"(?<!\w)(?:{longest_first})(?!\w)", re.IGNORECASE)
    return found.sub(lambda match: spelled.get(match[0].casefold(), match[0]), kept.title)


def _naming_class(facts: GroupFacts) -> str | None:
    dominant = most_frequent(facts.classes, facts.n_members)
    return None if dominant == _WEARER else dominant


def _is_colour_of_nobody(name: str, looks: Sequence[Look]) -> bool:
    seen = {
        colour for look in looks if look.rgb for colour in (colour_name(look.rgb), colour_name(look.rgb).split()[-1])
    }
    return bool(looks) and name in COLOUR_NAMES and name not in seen


def _called(noun: Noun | None, facts: GroupFacts, look: SharedLook) -> tuple[str, list[str]]:
    """What a group is called, and what may be added that most members share, the best first."""
    dominant_class, look = _naming_class(facts), look.as_said(facts.said_colour)
    if noun is not None:
        name, more = _coloured(noun.text, look)
        said = [word for word in noun.more if not _is_said_or_untrue(word, facts, look)]
        return name, [*said, *look.words, *more, *noun.levels, *look.colours_of_parts]
    if dominant_class is not None:
        name, more = _coloured(class_words(dominant_class), look)
        return name, [*look.words, *more, *look.colours_of_parts]
    return _seen(look)


def _is_said_or_untrue(word: str, facts: GroupFacts, look: SharedLook) -> bool:
    """Whether a word names the colour that is said already, or one that most members do not have."""
    colour = english_colour(word)
    return colour is not None and (look.says_colour(colour) or facts.is_colour_of_others(colour))


def _words_of_rivals(
    groups: Mapping[Key, GroupFacts], called: Mapping[Key, tuple[str, list[str]]]
) -> dict[str, list[tuple[Key, Set[str]]]]:
    """Name -> every group that is called so, with the words that may be added to it, and those that some of its members have."""
    found: dict[str, list[tuple[Key, Set[str]]]] = defaultdict(list)
    for key, facts in groups.items():
        name, more = called[key]
        some = [one.text for one in facts.phrases if one.n_members >= QUARTER * facts.n_members]
        found[name].append((key, set(map(str.casefold, more + some))))
    return found


def _names(name: str, more: Sequence[str], rivals: Sequence[Set[str]]) -> list[str]:
    """Names for a group, the best first: alone, and with one or two things more that not all of its rivals have together.

    What the fewest of them have comes first.
    """
    beside = [words for n_words in (1, 2) for words in combinations(more, n_words)]
    n_having = {words: sum(set(map(str.casefold, words)) <= rival for rival in rivals) for words in beside}
    telling = [words for words in beside if not rivals or n_having[words] < len(rivals)]
    return [name, *(", ".join([name, *words]) for words in sorted(telling, key=n_having.__getitem__))]


def _coloured(called: str, look: SharedLook) -> tuple[str, list[str]]:
    """`red chair`, and colours that may be added. A list has none before it, because it would seem to be of its first."""
    if any(is_colour_word(word) for word in called.split()):
        return called, []
    beside = [] if look.colours is None or "," in look.colours or look.says_colour(look.colours) else [look.colours]
    if look.colour is None:
        return called, beside
    is_list = any(between in called for between in (",", " and ", " / "))
    return (called, [look.colour]) if is_list else (f"{look.colour} {called}", beside)


def _seen(look: SharedLook) -> tuple[str, list[str]]:
    """A look in words: colour, outline, pattern, size, else what half of the members are; and what may be added."""
    colour = look.colour or (None if look.tone else look.colours)
    words = [*([colour] if colour else []), *look.words]
    parts = sorted([*look.colours_of_parts, *look.word_parts], key=lambda part: not part.startswith("mostly"))
    if not words:
        mostly = [part for part in parts if part.startswith("mostly")]
        name = mostly[0] if mostly else "many colours" if look.is_seen else "various"
        return name, [part for part in parts if part != name]
    more = None if look.colours in (None, colour) else look.colours.removeprefix(f"{colour}, ")
    shades = re.split(", some |, | and ", more or "")
    if colour in shades:
        more = next((f"some {shade}" for shade in shades if shade != colour), None)
    added = [more] if more and not look.says_colour(more) else []
    return ", ".join(words), [*added, *(part for part in parts if not look.says_colour(part.split()[-1]))]
