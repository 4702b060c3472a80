"""How much a text looks as if it were written in letters of another script than Latin, by how frequent each letter is."""

from __future__ import annotations

from itertools import pairwise

# Letters by how often they are written, the most frequent first. Of Cyrillic those of Russian, then what others add.
_BY_FREQUENCY = (
    "оаеинтсрвлкмдпуяыьгзбчйхжшюцщэфъёіїєґўјљњћџђѓќѕ",
    "αοιετσνηυρπκμλςωόίάδγχθέύήφβξώζψϊϋΐΰ",
    "יוהלאתרבשמםנדחקעפטגסןזצכךףץ",
    "اليمونرتبةعدسفهكقحجشصطخزءذأثئىضغؤظإآپچژگ",
)
_USUAL_LETTERS = 26
_WEIGHTS = tuple(
    {letter: max(0.0, 1 - rank / _USUAL_LETTERS) for rank, letter in enumerate(letters)} for letters in _BY_FREQUENCY
)


def likeness_to_words(text: str) -> float:
    """1 for the most frequent letters of one script alone; below 0 for signs, letters of others and capitals within words.

    Letters of ASCII do not count.
    """
    others = [char for char in text if char > "\x7f"]
    if not others:
        return 0.0
    n_within = sum(a.islower() and b.isupper() and b > "\x7f" for a, b in pairwise(text))
    best = max(sum(weights.get(char.lower(), -1.0) for char in others) for weights in _WEIGHTS)
    return (best - n_within) / len(others)
