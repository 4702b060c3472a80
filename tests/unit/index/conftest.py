import faiss
import numpy as np
import pytest


@pytest.fixture(scope="session")
def products():
    """(Q, d), (N, d) -> (Q, N) inner products, pair by pair: bit for bit what faiss finds in a cell."""

    def multiply(queries, vectors):
        queries, vectors = np.ascontiguousarray(queries), np.ascontiguousarray(vectors)
        found = np.empty((len(queries), len(vectors)), np.float32)
        everyone = np.tile(np.arange(len(vectors)), (len(queries), 1))
        faiss.fvec_inner_products_by_idx(
            *(faiss.swig_ptr(array) for array in (found, queries, vectors, everyone)), queries.shape[1], *found.shape
        )
        return found

    return multiply
