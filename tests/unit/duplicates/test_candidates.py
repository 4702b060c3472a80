import numpy as np
import pytest

from prodseek.duplicates.candidates import MAX_PHOTOS_A_CODE, CodeRows, heaviest_pairs, pairs_by_codes


def code_rows(rows, codes, poses=None):  # type: ignore[no-untyped-def]
    rows = np.asarray(rows, np.int64)
    poses = np.zeros(len(rows), np.uint8) if poses is None else np.asarray(poses, np.uint8)
    return CodeRows(rows, np.asarray(codes, np.int64), poses)


def test_pairs_are_those_that_share_codes():
    rng = np.random.default_rng(0)
    has = code_rows(rng.integers(0, 12, 300), rng.integers(0, 150, 300))
    asks = code_rows(rng.integers(0, 12, 500), rng.integers(0, 150, 500))
    held = {code: {int(row) for row in has.row[has.code == code]} for code in set(has.code.tolist())}
    expected: dict[tuple[int, int], int] = {}
    for row, code in set(zip(asks.row.tolist(), asks.code.tolist(), strict=True)):
        for other in held.get(code, set()) - {row}:
            key = (min(row, other), max(row, other))
            expected[key] = expected.get(key, 0) + 1
    pairs = pairs_by_codes(has, asks, 12)
    found = zip(pairs.row_a.tolist(), pairs.row_b.tolist(), strict=True)
    assert dict(zip(found, pairs.n_shared.tolist(), strict=True)) == expected
    assert len(expected) > 40


def test_codes_that_agree_in_their_pose_count_together_and_others_apart():
    eighth, octave = 2 << 4, 2
    upright, turned = [3 + 16 * n for n in range(4)], [3 + octave + (16 * n + eighth) % 256 for n in range(4)]
    codes = [10, 11, 12, 13]
    pairs = pairs_by_codes(code_rows([1] * 4, codes, turned), code_rows([2] * 4, codes, upright), 100)
    assert pairs.n_shared.tolist() == [4]
    pairs = pairs_by_codes(
        code_rows([1] * 4, codes, [3, 3 + 4 * eighth, 9, 3 + 2 * eighth]), code_rows([2] * 4, codes), 9
    )
    assert pairs.n_shared.tolist() == [1, 1, 1, 1] and len(set(pairs.pose.tolist())) == 4


def test_every_photo_of_a_crowded_code_meets_some_and_all_meet_the_first():
    n = 300
    rows = np.arange(n)
    pairs = pairs_by_codes(code_rows(rows, np.zeros(n)), code_rows(rows, np.zeros(n)), 1000)
    assert n < len(pairs.row_a) <= n * MAX_PHOTOS_A_CODE
    assert {(0, row) for row in range(1, n)} <= set(zip(pairs.row_a.tolist(), pairs.row_b.tolist(), strict=True))


def test_a_rare_code_counts_more():
    has = code_rows([0, 1, 2, 3, 4, 5], [7, 7, 8, 8, 8, 8])
    pairs = pairs_by_codes(has, has.where(np.array([0, 2])), 1000)
    assert pairs.weight[0] > pairs.weight[1:].max() > 0


def test_more_photos_than_can_be_packed_are_refused():
    has = code_rows([0, 2**31], [7, 7])
    with pytest.raises(ValueError, match="too many to pair at once"):
        pairs_by_codes(has, has, 2**32)


def test_no_codes_make_no_pairs():
    for has, asks in ((code_rows([], []), code_rows([], [])), (code_rows([1], [1]), code_rows([], []))):
        for pairs in (pairs_by_codes(has, asks, 5), heaviest_pairs(pairs_by_codes(asks, has, 5), 3)):
            assert [len(values) for values in pairs] == [0, 0, 0, 0, 0]


def test_the_heaviest_pairs_of_each_photo_stay():
    rows = np.repeat(np.arange(6), 6)
    codes = np.concatenate([np.arange(10 * min(a, b), 10 * min(a, b) + max(a, b)) for a in range(6) for b in range(6)])
    owners = np.repeat(rows, [max(a, b) for a in range(6) for b in range(6)])
    pairs = pairs_by_codes(code_rows(owners, codes), code_rows(owners, codes), 100)
    kept = heaviest_pairs(pairs, 1)
    best = {
        max(
            (w, -(b if a == row else a))
            for a, b, w in zip(pairs.row_a, pairs.row_b, pairs.weight, strict=True)
            if row in (a, b)
        )
        for row in range(6)
    }
    assert {int(weight) for weight in kept.weight} == {int(weight) for weight, _ in best}
    assert len(kept.row_a) < len(pairs.row_a)


def test_a_pair_is_as_heavy_as_its_heaviest_pose_and_keeps_all_its_poses():
    two_poses = code_rows([1, 1, 1], [5, 6, 7], [3, 3, 3 + (8 << 4)])
    pairs = pairs_by_codes(
        CodeRows(*(np.r_[x, y] for x, y in zip(two_poses, code_rows([2] * 1, [8]), strict=True))),
        code_rows([0, 0, 0, 0], [5, 6, 7, 8], [3, 3, 3, 3]),
        100,
    )
    kept = heaviest_pairs(pairs, 1)
    assert sorted(zip(kept.row_a.tolist(), kept.row_b.tolist(), kept.n_shared.tolist(), strict=True)) == [
        (0, 1, 1),
        (0, 1, 2),
        (0, 2, 1),
    ]
