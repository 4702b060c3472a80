import numpy as np

from prodseek.duplicates.stand_ins import Look, Print, stand_ins

RNG = np.random.default_rng(0)
GREY = np.full(48, 50, np.int8)


def a_hash() -> int:
    return int.from_bytes(RNG.bytes(32))


def flipped(bits: int, n: int) -> int:
    for place in RNG.choice(256, n, replace=False).tolist():
        bits ^= 1 << place
    return bits


def look(name: str, *prints: tuple[int, np.ndarray]) -> Look:  # type: ignore[type-arg]
    return Look(name, tuple(Print(bits, colours) for bits, colours in prints))


def test_the_first_stands_in_for_all_that_look_like_it():
    first, other = a_hash(), a_hash()
    looks = [
        look("a", (first, GREY)),
        look("b", (flipped(first, 12), GREY)),
        look("c", (other, GREY)),
        look("d", (flipped(first, 90), GREY)),
        look("e", (flipped(other, 5), GREY)),
    ]
    assert stand_ins(looks).tolist() == [0, 0, 2, 3, 2]


def test_equal_pixels_look_the_same_whatever_else_is_known():
    assert stand_ins([look("a"), look("b"), look("a", (a_hash(), GREY)), look("b")]).tolist() == [0, 1, 0, 1]


def test_variants_in_other_colours_have_stand_ins_of_their_own():
    bits = a_hash()
    red, blue = GREY.copy(), GREY.copy()
    red[16], blue[17] = 70, -30
    looks = [look(f"{number}", (flipped(bits, 3), colours)) for number, colours in enumerate((GREY, red, blue) * 3)]
    assert stand_ins(looks).tolist() == [0, 1, 2] * 3


def test_the_content_of_one_may_look_like_the_whole_of_another():
    whole, padded = a_hash(), a_hash()
    white = np.full(48, 100, np.int8)
    looks = [look("a", (whole, GREY)), look("b", (padded, white), (flipped(whole, 8), GREY + np.int8(2)))]
    assert stand_ins(looks).tolist() == [0, 0]
    # Not if only the hash of one pair of prints and the colours of another agree.
    looks[1] = look("b", (padded, GREY), (flipped(whole, 8), white))
    assert stand_ins(looks).tolist() == [0, 1]


def test_a_stand_in_stands_for_itself_along_a_chain():
    chain = [a_hash()]
    for _ in range(9):
        chain.append(flipped(chain[-1], 14))
    found = stand_ins([look(f"{number}", (bits, GREY)) for number, bits in enumerate(chain)])
    assert (found[found] == found).all() and len(set(found.tolist())) > 2
    near = [(chain[row] ^ chain[other]).bit_count() for row, other in enumerate(found.tolist())]
    assert max(near) <= 31


def test_thousands_of_re_encodings_have_one_stand_in():
    bits = a_hash()
    looks = [look("0", (bits, GREY)), *(look(f"{n}", (flipped(bits, n % 20), GREY)) for n in range(1, 3000))]
    others = [look(f"other {n}", (a_hash(), GREY)) for n in range(500)]
    found = stand_ins([*looks, *others])
    assert (found[:3000] == 0).mean() > 0.995
    assert (found[3000:] == np.arange(3000, 3500)).all()


def test_no_photos_have_no_stand_ins():
    assert stand_ins([]).tolist() == []
