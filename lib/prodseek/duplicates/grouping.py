"""Groups of copies that cannot form chains, because each member was compared with the photo that is kept, and is its copy."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from prodseek.duplicates.hashes import Orientation
from prodseek.duplicates.keeping import BEST_WORDS, EQUAL, RULE, Criterion, advantages
from prodseek.duplicates.stars import CopyGraph, Link, Photo, Star, VerifiedPair
from prodseek.duplicates.verdicts import Verdict

_SAME_BYTES = Link(1.0, Verdict.IDENTICAL_BYTES, EQUAL)
# Of more values that differ, the number is told.
_MAX_VALUES = 5
# Members that a better photo is compared with before all others: those that are least like the photo that is kept.
_FIRST_COMPARED = 16
# Members of a group that a photo beside it is compared with, because one of them may vouch for it.
_MAX_VOUCHERS = 6


@dataclass(frozen=True)
class GroupRow:
    """A photo in a duplicate group, and the photo that is kept of it.

    kept_because: for people. verdict: on this photo and the kept one; None for the kept one itself. conflicts: which attributes
    differ within the group; None if none does.
    """

    group_id: str
    key: str
    keep_key: str
    kept_because: str
    verdict: Verdict | None
    confidence: float
    group_size: int
    n_products: int
    conflicts: str | None

    @property
    def is_representative(self) -> bool:
        return self.key == self.keep_key


def group_duplicates(
    photos: Sequence[Photo], pairs: Iterable[VerifiedPair], rule: Sequence[str] = RULE
) -> list[GroupRow]:
    """Form groups of at least two photos, sorted by group_id, the photo to keep first, then by key.

    The photo with the most copies that are in no group yet forms a group with them; then follows the next. Of each group the
    best photo is kept, among those that were verified against every other member; the first photo is always one of these. So
    two photos are never in one group only because of a third between them that is not kept; that may vouch for two that are
    likely to be copies.

    pairs: copies alone. rule: the criteria for the best photo, see `keeping`; ties by key. Raises ValueError if a pair names a
    photo that is not given, or if keys repeat.
    """
    graph = CopyGraph(photos, pairs, rule)
    rows = [row for star in graph.stars() for row in _rows(graph, star, rule)]
    return sorted(rows, key=lambda row: (row.group_id, not row.is_representative, row.key))


def missing_pairs(
    photos: Sequence[Photo],
    pairs: Iterable[VerifiedPair],
    rule: Sequence[str] = RULE,
    judged: Collection[tuple[str, str]] = (),
    looks: Collection[tuple[str, str]] = (),
) -> list[tuple[str, str]]:
    """Pairs of keys that would complete groups, or let a better photo be kept, if they were copies.

    They are for another pass: judge them, add the copies among them to the pairs, and group again. judged: pairs of keys that
    are not to be asked for again, whatever came of them, even if their photos are copies of none any more. looks: pairs that a
    member of a group might vouch for, if it is a copy of both. Sorted; linear in the number of pairs.
    """
    graph = CopyGraph(photos, pairs, rule)
    image_of = {photo.key: photo.image_id for photo in photos}
    known = {frozenset((image_of[a], image_of[b])) for a, b in judged if a in image_of and b in image_of}
    stars = graph.stars()
    star_of = {member: star for star in stars for member in star.members}
    wanted: set[tuple[str, str]] = set()

    def want(one: str, other: str) -> None:
        if one != other and other not in graph.links[one] and frozenset((one, other)) not in known:
            a, b = sorted((graph.key(one), graph.key(other)))
            wanted.add((a, b))

    for one, links in graph.links.items():
        for other in links:
            if star_of[one] is not star_of[other]:
                for centre in (star_of[other].head, star_of[other].kept):
                    want(one, centre)
                    want(star_of[one].head, centre)
    for star in stars:
        better = graph.better(star, known)
        if better is not None:
            least_like = _least_like(graph, star)
            first = [one for one in least_like[:_FIRST_COMPARED] if one != better and one not in graph.links[better]]
            for member in first or star.members:
                want(better, member)
    looked_at = {(image_of[a], image_of[b]) for a, b in looks if a in image_of and b in image_of}
    for one, member in _possible_vouchers(graph, stars, looked_at):
        want(one, member)
    return sorted(wanted)


def _possible_vouchers(
    graph: CopyGraph, stars: Sequence[Star], looks: Collection[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """A photo, and a member of each group beside it that may be a copy of both: those that are least like its head.

    They are likeliest to be like a photo that is not like the head. looks: of image_ids.
    """
    beside: dict[str, set[str]] = defaultdict(set)
    for one, other in chain(looks, ((b, a) for a, b in looks)):
        beside[one].add(other)
    head_of = {member: star.head for star in stars for member in star.members}
    least_like = {star.head: _least_like(graph, star) for star in stars}
    for one, others in beside.items():
        for head in {head_of[other] for other in others} - {head_of[one]}:
            unlike = (member for member in least_like[head] if member not in others)
            yield from ((one, member) for member in islice(unlike, _MAX_VOUCHERS))


def _least_like(graph: CopyGraph, star: Star) -> list[str]:
    """The members of a star but its head, those first that are least surely its copies."""
    links = graph.links[star.head]
    return [one for _, one in sorted((links[one].confidence, one) for one in star.members[1:])]


def conflicts(identities: Iterable[Mapping[str, str]]) -> str | None:
    """Which attributes differ, and how: `colour: blue, red; ean: 123, 456`. None if none is known to differ."""
    values: dict[str, set[str]] = defaultdict(set)
    for identity in identities:
        for name, value in identity.items():
            values[name].add(value)
    told = []
    for name, different in sorted(values.items()):
        if len(different) > 1:
            more = f" and {len(different) - _MAX_VALUES} more" if len(different) > _MAX_VALUES else ""
            told.append(f"{name}: {', '.join(sorted(different)[:_MAX_VALUES])}{more}")
    return "; ".join(told) or None


def _rows(graph: CopyGraph, star: Star, rule: Sequence[str]) -> list[GroupRow]:
    """The star as rows; none for a photo alone."""
    links = {**graph.links[star.kept], star.kept: _SAME_BYTES}
    members = [(photo, links[image_id]) for image_id in star.members for photo in graph.photos[image_id]]
    if len(members) < 2:
        return []
    kept = graph.photos[star.kept][0]
    turned = Counter(links[image_id].facts.orientation for image_id in star.members)
    better = {photo.key: _better(kept, photo, link, turned, rule) for photo, link in members}
    group_id = hashlib.sha256(f"duplicates:{kept.key}".encode()).hexdigest()[:16]
    is_first = kept.key == min(better)
    n_products = len({photo.product_id for photo, _ in members})
    differing = conflicts(photo.identity for photo, _ in members)
    rows = []
    for photo, link in members:
        why = ["the same file"] if link is _SAME_BYTES and photo is not kept else []
        if photo is kept:
            found = {criterion for one in better.values() for criterion in one}
            words = [word for criterion, word in BEST_WORDS.items() if criterion in found]
        else:
            words = list(better[photo.key].values())
        if not words:
            words = ["first by name" if is_first else "as good as any"]
        rows.append(
            GroupRow(
                group_id=group_id,
                key=photo.key,
                keep_key=kept.key,
                kept_because="; ".join([*why, *words]),
                verdict=None if photo is kept else link.verdict,
                confidence=link.confidence,
                group_size=len(members),
                n_products=n_products,
                conflicts=differing,
            )
        )
    return rows


def _better(
    kept: Photo, photo: Photo, link: Link, turned: Mapping[Orientation, int], rule: Sequence[str]
) -> dict[Criterion, str]:
    kept_beside_it = link.facts.of_the_other()
    is_turned_as_most = turned[EQUAL.orientation] > turned[link.facts.orientation]
    return advantages(kept_beside_it, link.verdict, (kept.age, photo.age), is_turned_as_most, rule)
