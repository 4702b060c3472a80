"""What is known about a group, and what most of its members look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field, replace

from prodseek.cluster.colours import colour_name, english_colour, may_look, tone_name
from prodseek.cluster.nouns import EVERYWHERE, MOST, Phrase, listed
from prodseek.cluster.words import COLOUR, TITLE

# Of the members that were looked at, who have a colour that tells groups of one name apart.
HALF, QUARTER = 0.5, 0.25


@dataclass(frozen=True)
class Look:
    """What a member looks like. rgb: its colour, 0..255 each. texture: a word from `textures`. None where none is clear."""

    rgb: tuple[int, int, int] | None
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

    @property
    def said_colour(self) -> str | None:
        """The only colour that a column of colours says of MOST members, or that their titles name and they may have.

        A colour in titles that is not seen is a brand, a wood or another part: Black & Decker, red oak, a bonsai in a grey bowl.
        """
        of_column, in_titles = (self._colours_said(said_in) for said_in in (COLOUR, TITLE))
        if len(of_column) == 1:
            return of_column.pop()
        return in_titles.pop() if len(in_titles) == 1 and not self.is_colour_of_others(*in_titles) else None

    def _colours_said(self, said_in: str) -> set[str]:
        """What MOST members say there, and not most others too, such as a default of the shop or a list of all its colours."""
        shared = (
            one.text
            for one in self.phrases
            if one.said_in == said_in and one.n_members >= MOST * self.n_members and one.others_share <= EVERYWHERE
        )
        return {colour for text in shared if (colour := english_colour(text)) is not None}

    def is_colour_of_others(self, name: str) -> bool:
        """Whether more than half of the members that were looked at have another colour. name: in COLOUR_NAMES."""
        seen = [look.rgb for look in self.looks if look.rgb]
        return 2 * sum(not may_look(name, rgb) for rgb in seen) > len(seen)


@dataclass(frozen=True)
class SharedLook:
    """What most members look like; None where they do not agree.

    colours: such as `grey, some blue`. parts: colours of some, such as `mostly grey`, `some blue`; word_parts: the same of
    outlines, patterns and sizes. is_seen: the colours of most members that were looked at are known.
    """

    colour: str | None
    colours: str | None
    tone: str | None
    shape: str | None
    pattern: str | None
    size: str | None
    parts: tuple[str, ...]
    word_parts: tuple[str, ...]
    is_seen: bool

    @classmethod
    def of(cls, facts: GroupFacts, common: Set[str]) -> SharedLook:
        """common: words that tell nothing."""
        n = len(facts.looks)
        coloured = [look.rgb for look in facts.looks if look.rgb]
        names = Counter(map(colour_name, coloured))
        families = Counter(colour_name(rgb).split()[-1] for rgb in coloured)
        shapes, sizes = _without(common, facts.shapes), _without(common, facts.sizes)
        patterns = _without(common, Counter(look.texture for look in facts.looks if look.texture))
        tones = Counter(tone for rgb in coloured if (tone := tone_name(rgb)))
        return cls(
            most_frequent(names, n) or most_frequent(families, n),
            listed(families, 2, n) or (listed(names, 2, n) if most_frequent(families, n) else listed(families, 3, n)),
            most_frequent(tones, n),
            most_frequent(shapes, facts.n_members),
            most_frequent(patterns, n),
            most_frequent(sizes, facts.n_members),
            _parts(families, n),
            (*_parts(shapes, facts.n_members), *_parts(patterns, n), *_parts(sizes, facts.n_members)),
            n > 0 and len(coloured) >= MOST * n,
        )

    def as_said(self, colour: str | None) -> SharedLook:
        """The look of a thing whose colour the catalogue names, whatever is seen of it."""
        return self if colour is None else replace(self, colour=colour, colours=None, parts=())

    def says_colour(self, name: str) -> bool:
        """Whether the colour of most says this already, as `dark red` says red."""
        return self.colour is not None and name in (self.colour, self.colour.split()[-1])

    @property
    def words(self) -> list[str]:
        """Words beside the colour, the most telling first."""
        return [word for word in (None if self.colour else self.tone, self.shape, self.pattern, self.size) if word]

    @property
    def colours_of_parts(self) -> list[str]:
        """Colours of some members, where no list of colours says them."""
        return [] if self.colours else list(self.parts)


def common_words(groups: Collection[GroupFacts]) -> Set[str]:
    """Words of outline, pattern and size that are true of more than half of all members: they tell no group from another."""
    if len(groups) < 2:
        return set()
    outlines: Counter[str] = Counter()
    patterns: Counter[str] = Counter()
    for facts in groups:
        outlines.update(facts.shapes)
        outlines.update(facts.sizes)
        patterns.update(look.texture for look in facts.looks if look.texture)
    n_members, n_looks = sum(facts.n_members for facts in groups), sum(len(facts.looks) for facts in groups)
    common = {word for word, n in outlines.items() if 2 * n > n_members}
    return common | {word for word, n in patterns.items() if 2 * n > n_looks}


def _without(common: Set[str], counts: Mapping[str, int]) -> dict[str, int]:
    return {word: n for word, n in counts.items() if word not in common}


def _parts(families: Mapping[str, int], n: int) -> tuple[str, ...]:
    """Colours that not most have, but half or a quarter of n."""
    in_order = sorted(families, key=lambda name: (-families[name], name))
    shares = {name: families[name] / n for name in in_order}
    return tuple(
        f"{'mostly' if share >= HALF else 'some'} {name}" for name, share in shares.items() if QUARTER <= share < MOST
    )


def most_frequent(counts: Mapping[str, int], n: int) -> str | None:
    """The most frequent, where it is true of MOST of n."""
    found = min(counts, key=lambda name: (-counts[name], name), default=None)
    return found if found is not None and counts[found] >= MOST * n else None
