import faiss
import numpy as np
import pytest

from prodseek.errors import ConfigError
from prodseek.index.ivf import FLAT_BELOW
from prodseek.index.plan import CODINGS, IndexPlan, plan_index, train_index

GIB = 2**30


@pytest.mark.parametrize(
    ("n_vectors", "memory_bytes", "factory"),
    [
        (1_000_000, 8 * GIB, "IVF4096,Flat"),
        (1_000_000, GIB // 2, "IVF4096,Flat"),
        (1_000_000, GIB // 3, "IVF4096,SQfp16"),
        (41_000_000, 8 * GIB, "IVF32768,SQ8"),
        (90_000_000, 8 * GIB, "IVF65536,RaBitQ4"),
        (1_000_000, 90_000_000, "IVF4096,RaBitQ2"),
        (FLAT_BELOW - 1, 1, "Flat"),
    ],
)
def test_the_most_exact_coding_that_fits_is_taken(n_vectors, memory_bytes, factory):
    plan = plan_index(n_vectors, 128, memory_bytes)
    assert plan.factory == factory
    assert plan.nlist == 1 or plan.n_bytes <= memory_bytes


def test_the_plan_explains_itself():
    assert str(plan_index(41_000_000, 128, 8 * GIB)) == "41 M x 128-d, 8 GiB budget: IVF32768,SQ8, 5.2 GiB"


def test_a_budget_that_nothing_fits_says_how_much_is_needed():
    with pytest.raises(ConfigError, match=r"index\.memory_bytes: 1000000 is too little.*RaBitQ2 takes \d+ bytes"):
        plan_index(1_000_000, 128, 1_000_000)


@pytest.mark.parametrize("coding", CODINGS)
def test_every_coding_is_trained_and_takes_what_was_planned(coding):
    rng = np.random.default_rng(0)
    sample = rng.normal(size=(3000, 32)).astype(np.float32)
    sample /= np.linalg.norm(sample, axis=1, keepdims=True)
    index = train_index(IndexPlan(3000, 32, 0, 16, coding, 0), sample, seed=0)
    assert (index.nlist, index.ntotal, index.is_trained) == (16, 0, True)
    index.add(sample)
    written = len(faiss.serialize_index(index))
    planned = 3000 * (index.code_size + 8) + 16 * 32 * 4
    assert planned <= written < 1.1 * planned
