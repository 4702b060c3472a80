"""Stars of copies: photos that were all verified against one of them, and which of them to keep."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from prodseek.duplicates.keeping import EQUAL, RULE, Criterion, Facts, best
from prodseek.duplicates.verdicts import Verdict


@dataclass(frozen=True)
class Photo:
    """A photo to be grouped. key: unique; the first of equals is kept.

    age: since when the photo exists, as text that sorts by time; None if not known. identity: attributes that tell articles
    apart, such as ean.
    """

    key: str
    image_id: str
    product_id: str = ""
    age: str | None = None
    identity: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class VerifiedPair:
    """Two photos that were judged copies. confidence: 0 to 1. b_beside_a: what the second is beside the first."""

    key_a: str
    key_b: str
    verdict: Verdict
    confidence: float
    b_beside_a: Facts = EQUAL


@dataclass(frozen=True, order=True)
class Link:
    """What a photo's copy is beside it."""

    confidence: float
    verdict: Verdict
    facts: Facts


@dataclass(frozen=True)
class Star:
    """image_ids of photos that were all verified against the head, which is one of them.

    kept: the best of those that were verified against every other member, as the head was.
    """

    head: str
    members: tuple[str, ...]
    kept: str


class CopyGraph:
    """Photos by their bytes, and which of them are copies of each other. Photos with equal bytes are one.

    photos: image_id -> the photos with these bytes, the one that stands for them first. links: image_id -> image_id of a copy
    -> what that is. rule: the criteria for the best photo. Raises ValueError if a pair names a photo that is not given, or if
    keys repeat.
    """

    def __init__(self, photos: Sequence[Photo], pairs: Iterable[VerifiedPair], rule: Sequence[str] = RULE) -> None:
        image_of = {photo.key: photo.image_id for photo in photos}
        if len(image_of) != len(photos):
            raise ValueError("photos to group must have different keys")
        self._rule = rule
        self.photos: dict[str, list[Photo]] = {}
        for photo in photos:
            self.photos.setdefault(photo.image_id, []).append(photo)
        for same in self.photos.values():
            same.sort(key=self._place)
        self._ages = {image_id: same[0].age for image_id, same in self.photos.items() if same[0].age is not None}
        self.links: dict[str, dict[str, Link]] = {image_id: {} for image_id in self.photos}
        for pair in pairs:
            for key in (pair.key_a, pair.key_b):
                if key not in image_of:
                    raise ValueError(f"a duplicate pair names {key!r}, which is not among the photos")
            self._add(image_of[pair.key_a], image_of[pair.key_b], pair)

    def key(self, image_id: str) -> str:
        """The key of the photo that stands for all with its bytes."""
        return self.photos[image_id][0].key

    def stars(self) -> list[Star]:
        """Every photo in one star; those without copies are alone in theirs.

        The photo with the most copies that are in no star yet is the head of the next one.
        """
        n_copies = {image_id: len(links) for image_id, links in self.links.items()}
        heads = [(-n, self.key(image_id), image_id) for image_id, n in n_copies.items()]
        heapify(heads)
        grouped: set[str] = set()
        stars = []
        while heads:
            n, key, head = heappop(heads)
            if head in grouped:
                continue
            if -n != n_copies[head]:  # some of its copies were grouped since
                heappush(heads, (-n_copies[head], key, head))
                continue
            members = (head, *(other for other in self.links[head] if other not in grouped))
            grouped.update(members)
            for member in members:
                for other in self.links[member]:
                    n_copies[other] -= 1
            stars.append(Star(head, members, self._kept(head, members)))
        return stars

    def better(self, star: Star, judged: Collection[frozenset[str]]) -> str | None:
        """The member that would be kept if it were a copy of all others; None if it is kept, or is known not to be that.

        judged: pairs of image_ids. Only what the pixels say counts.
        """
        rule = [name for name in self._rule if name != Criterion.OLDEST]
        facts = self._beside(star.kept, star.members)
        among = set(star.members)
        while True:
            found = best(facts, among, {}, rule)
            if star.kept in found:
                return None
            one = min(found, key=self.key)
            if not any(frozenset((one, o)) in judged for o in star.members if o != one and o not in self.links[one]):
                return one
            among.remove(one)

    def _kept(self, head: str, members: Sequence[str]) -> str:
        everywhere = [one for one in members if all(other == one or other in self.links[one] for other in members)]
        kept, seen = head, set()
        # From farther away, small differences do not show. So the best is compared with the others once more.
        while kept not in seen:
            seen.add(kept)
            kept = min(best(self._beside(kept, members), everywhere, self._ages, self._rule), key=self.key)
        return kept

    def _beside(self, one: str, members: Iterable[str]) -> dict[str, Facts]:
        return {other: EQUAL if other == one else self.links[one][other].facts for other in members}

    def _place(self, photo: Photo) -> tuple[bool, str, str]:
        age = photo.age if Criterion.OLDEST in self._rule else None
        return age is None, age or "", photo.key

    def _add(self, a: str, b: str, pair: VerifiedPair) -> None:
        if a == b:
            return
        forth = Link(pair.confidence, pair.verdict, pair.b_beside_a)
        if a > b:
            a, b, forth = b, a, Link(pair.confidence, pair.verdict, pair.b_beside_a.of_the_other())
        forth = max(forth, self.links[a].get(b, forth))
        self.links[a][b] = forth
        self.links[b][a] = Link(forth.confidence, forth.verdict, forth.facts.of_the_other())
