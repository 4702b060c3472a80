"""The products of a run that are nearest to a region: candidates from an index, then one hit for each product."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from prodseek.embedding.confidence import RIVALS, Calibration, likeness_score
from prodseek.errors import PromptError
from prodseek.index.search import ShardedIndex
from prodseek.index.stored import index_folder, open_index
from prodseek.runs.columns import FACETS, LIKENESS
from prodseek.runs.store import MANIFEST, Run
from prodseek.search.folding import fold
from prodseek.search.hits import Floor, Hit, Query, Vectors
from prodseek.search.likeness import Likeness, cosines_of
from prodseek.search.prompts import PromptFault
from prodseek.search.regions import Regions
from prodseek.search.vectors import Embeddings, ExactFacet
from prodseek.storage import files

# Regions requested for each product asked for, because some are of the same product, others are copies, and things that
# only stand in a photo of another product are no hits.
_REGIONS_A_HIT = 20
# A mix ranks candidates of the index of `likeness` again, and the best by colour may rank low there.
_REGIONS_A_HIT_OF_A_MIX = 50
_WIDER = 8
# A facet without an index is compared with all regions, up to this many: that takes a tenth of a second.
_EXACT_REGIONS = 200_000
# Vectors lie around the mean of their kind, so two things that have nothing in common have a cosine of 0. What is not above
# it is like what was asked for in no way.
_LEAST_LIKENESS = 0.0


class _Searcher(Protocol):
    """An index of a facet, or its replacement."""

    def search(
        self, queries: NDArray[np.float32], k: int, nprobe: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]: ...


class NearestProducts:
    """Finds products in a run; indexes are opened, and vectors read, when they are first needed."""

    def __init__(self, run: Run, regions: Regions, embeddings: Embeddings, calibration: Calibration | None) -> None:
        """calibration: how sure a score of `likeness` makes; None for a run that did not fit it."""
        self._run = run
        self._regions = regions
        self._embeddings = embeddings
        self._calibration = calibration
        self._searchers: dict[str, tuple[_Searcher, int, int]] = {}

    def find(self, query: Query, k: int, likeness: Likeness, exclude_same_product: bool, floor: Floor) -> list[Hit]:
        """The k products most like a region, the most similar first; fewer if no more are like it.

        floor: of hits by `likeness`. Rooms answer only whole scenes; a photo answers for what it is of, not for what else stands
        in it. Raises PromptError for a facet that cannot be searched.
        """
        regions, by_likeness = self._regions, likeness.facet == LIKENESS
        searched = likeness.facet or LIKENESS
        searcher, nprobe, nlist = self._searcher(searched)
        calibration = self._calibration if by_likeness else None
        excluded_image = query.own_image if exclude_same_product else None
        own_original = None if regions.shows(query.own_image, query.box_px) else regions.originals[query.own_image]
        # How sure a hit is depends on its rivals too, however few are asked for.
        n_products = k if calibration is None else max(k, RIVALS)
        wanted = n_products * (_REGIONS_A_HIT if likeness.facet else _REGIONS_A_HIT_OF_A_MIX)
        while True:
            wanted, nprobe = min(wanted, len(regions.ids)), min(nprobe, nlist)
            found, found_cosine = searcher.search(query.vectors[searched][None], wanted, nprobe)
            ids, cosine = found[0][found[0] >= 0], found_cosine[0][found[0] >= 0]
            best_left = float(cosine[-1]) if len(cosine) else -1.0
            is_down_to_unlike = likeness.facet is not None and best_left <= _LEAST_LIKENESS
            places = np.searchsorted(regions.ids, ids)
            answers = regions.is_primary[places] & (query.is_scene | ~regions.is_room[places])
            if own_original is not None:
                answers &= regions.originals[regions.images[places]] != own_original
            ids, cosine, places = ids[answers], cosine[answers], places[answers]
            if likeness.facet is None:
                cosine = likeness.cosine(query.vectors, self._embeddings.of(ids))
            score = likeness_score(cosine, regions.hubness[places]) if by_likeness else cosine
            order = np.lexsort((ids, -score))
            order = order[cosine[order] > _LEAST_LIKENESS]
            kept = self._folded(places[order], n_products, excluded_image)
            of_hits = order[[candidate for candidate, _ in kept]]
            least_score = (
                -np.inf if calibration is None else calibration.least_score(score[of_hits], floor.min_confidence)
            )
            n_sure = int((score[of_hits] >= least_score).sum())
            n_hits = min(k, len(of_hits), max(n_sure, floor.n_unsure))
            # What the index gives next is no surer, however little it is a hub. Without rivals that is not known; and that
            # nothing is there is looked up.
            is_down_to_unsure = len(kept) >= RIVALS and likeness_score(best_left, regions.least_hubness) < least_score
            has_seen_all = nprobe == nlist and (wanted == len(regions.ids) or is_down_to_unlike)
            if has_seen_all or (n_hits and (len(kept) == n_products or is_down_to_unsure)):
                chances = None if calibration is None else calibration.chances(score[of_hits])
                rows = [row for _, row in kept[:n_hits]]
                of_hits = of_hits[:n_hits]
                return self._hits(places[of_hits], rows, cosine[of_hits], chances, query.vectors)
            wanted, nprobe = wanted * _WIDER, nprobe * _WIDER

    def _searcher(self, facet: str) -> tuple[_Searcher, int, int]:
        """The index to search for a facet, or its replacement, with its nprobe and nlist."""
        if facet not in self._searchers:
            n_regions = len(self._regions.ids)
            indexed = [name for name in FACETS if files.exists(self._run.path(index_folder(name), MANIFEST))]
            if facet in indexed:
                index: ShardedIndex = open_index(self._run, facet)
                self._searchers[facet] = (index, index.manifest.nprobe, index.manifest.nlist)
            elif n_regions <= _EXACT_REGIONS:
                exact = ExactFacet.read(self._run, facet)
                self._searchers[facet] = (exact, exact.nprobe, exact.nlist)
            else:
                raise PromptError(
                    PromptFault.INVALID_PROMPT,
                    f"run {self._run.run_id} has no index of {facet}, and comparing all {n_regions} regions "
                    f"takes too long: set index.facets to [{', '.join((*indexed, facet))}] for the next night, or ask for "
                    f"mix={LIKENESS}:0.2,{facet}:0.8",
                )
        return self._searchers[facet]

    def _folded(self, places: NDArray[np.intp], k: int, excluded_image: int | None) -> list[tuple[int, int]]:
        """The first k products: index into `places`, and the row of `regions.photos`. places: rows of `regions`, best first."""
        regions = self._regions
        images = regions.images[places]
        originals = regions.originals[images].tolist()
        # Read one by one, because k are found after a few of hundreds.
        shown = ((candidate, row) for candidate, image in enumerate(images.tolist()) for row in regions.rows_of(image))
        seen: list[tuple[int, int]] = []

        def candidates() -> Iterator[tuple[int, int]]:
            for candidate, row in shown:
                seen.append((candidate, row))
                yield int(regions.products[row]), originals[candidate]

        kept = fold(
            candidates(),
            k,
            () if excluded_image is None else regions.products_of(excluded_image),
            () if excluded_image is None else (int(regions.originals[excluded_image]),),
        )
        return [seen[place] for place in kept]

    def _hits(
        self,
        places: NDArray[np.intp],
        rows: Sequence[int],
        cosine: NDArray[np.float32],
        chances: NDArray[np.float64] | None,
        query: Vectors,
    ) -> list[Hit]:
        """Hits in their order. places: (H,) rows of `regions`. rows: of `regions.photos`. cosine, chances: (H,) or more."""
        regions = self._regions
        if not rows:
            return []
        facets = cosines_of(query, self._embeddings.of(regions.ids[places]))
        return [
            Hit(
                number + 1,
                int(regions.ids[place]),
                regions.image_ids[int(regions.images[place])].as_py(),
                regions.photos["product_id"][row].as_py(),
                regions.photos["uri"][row].as_py(),
                regions.box_px(place),
                float(cosine[number]),
                None if chances is None else float(chances[number]),
                {facet: float(values[number]) for facet, values in facets.items()},
            )
            for number, (place, row) in enumerate(zip(places.tolist(), rows, strict=True))
        ]
