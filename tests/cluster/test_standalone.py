"""A night on a cluster: a master, two workers and a driver, each a process of its own, that share nothing but the root."""

from __future__ import annotations

from pathlib import Path

import pytest
from nights import prodseek, tables_of
from standalone import Shipped, Standalone, standalone

from prodseek.store import Store
from prodseek.tables import TABLES

# A partition for every few photos, so that both executors have something to do in every stage.
SETTINGS = (
    *("--set", "ingest.rows_per_partition=3"),
    *("--set", "embed.images_per_partition=3"),
    *("--set", "duplicates.photos_per_partition=3"),
    *("--set", "duplicates.pairs_per_partition=3"),
    *("--set", "cluster.min_cluster_size=2"),
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with standalone(tmp_path_factory.mktemp("cluster")) as running:
        yield running


def test_a_cluster_gives_the_tables_of_one_machine(
    cluster: Standalone, shipped: Shipped, tiny_catalogue: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    """Exactly, floating-point numbers too: what is computed together depends on the rows alone (jobs/partitions.py)."""
    roots = {name: tmp_path / name for name in ("one machine", "cluster")}
    submitted = cluster.submit(shipped, tiny_catalogue, roots["cluster"], *SETTINGS)
    _, said = submitted.communicate(timeout=900)
    assert submitted.returncode == 0, said[-6000:]
    local = prodseek(
        *("run", "--catalog", tiny_catalogue, "--root", roots["one machine"], "--set", "spark.master=local[2]"),
        *SETTINGS,
    )
    assert local.returncode == 0, local.stderr
    found = {name: tables_of(root) for name, root in roots.items()}
    assert set(found["cluster"]) == set(TABLES) - {"search_results", "rejected_prompts"}
    for name, rows in found["one machine"].items():
        assert found["cluster"][name] == rows, name
    facts = Store.at(str(roots["cluster"])).latest().manifest()["stages"]
    assert facts["embed"]["embedded_images"] == 9
