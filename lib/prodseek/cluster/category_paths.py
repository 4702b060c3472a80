"""Categories as paths of levels, so that two that are written differently, or one more fully, are not taken for two kinds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from prodseek.cluster.categories import category_levels, category_path
from prodseek.cluster.plain_texts import folded
from prodseek.runs.usual_columns import BETWEEN_LEVELS

Path = tuple[str, ...]


@dataclass(frozen=True)
class CategoryPaths:
    """Every category of a catalogue as a path from its widest to its narrowest level.

    paths: category -> a key for each of its levels, which holds those above it; categories that say nothing, and those of
    which nobody can say where they belong, are left out. names: key -> what people call it.
    """

    paths: dict[str, Path]
    names: dict[str, str]


def category_paths(counts: Mapping[str, int]) -> CategoryPaths:
    """The paths of all categories of a catalogue. counts: category, as it is written -> photos.

    Case, accents and blanks do not count. What is the tail of one longer path, as `Chairs` is of `Home > Chairs`, is that
    path. It is left out where it is the tail of several, or a path of its own that goes on.
    """
    levels = {category: category_levels(category) for category in sorted(counts)}
    folds = {category: tuple(map(folded, found)) for category, found in levels.items() if found}
    whole = _completed(set(folds.values()))
    spelled: dict[str, Counter[str]] = defaultdict(Counter)
    paths = {}
    for category, fold in folds.items():
        if fold not in whole:
            continue
        keys = _keys(whole[fold])
        paths[category] = keys
        if whole[fold] == fold:
            for depth, key in enumerate(keys, 1):
                text = category_path(category) if depth == len(keys) else BETWEEN_LEVELS.join(levels[category][:depth])
                spelled[key][text] += counts[category]
    return CategoryPaths(paths, {key: min(texts, key=lambda one: (-texts[one], one)) for key, texts in spelled.items()})


def _keys(levels: Path) -> Path:
    return tuple(BETWEEN_LEVELS.join(levels[: depth + 1]) for depth in range(len(levels)))


def _completed(paths: set[Path]) -> dict[Path, Path]:
    """Path -> the longest of which it is a tail; without those that could be several."""
    longer: dict[Path, set[Path]] = defaultdict(set)
    heads: set[Path] = set()
    for path in paths:
        for cut in range(1, len(path)):
            longer[path[cut:]].add(path)
            heads.add(path[:cut])
    found = {}
    for path in paths:
        longest = max([path, *longer[path]], key=lambda one: (len(one), one))
        is_one = all(longest[-len(one) :] == one for one in longer[path])
        if longest == path or (is_one and path not in heads):
            found[path] = longest
    return found
