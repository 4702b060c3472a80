"""Stage neighbours: the nearest-neighbour graph, joined inside the index's cells.

Every vector goes to the task that keeps its home cell and asks in the tasks that keep its `nprobe` nearest cells; the
product is exact inside a cell. From night to night edges are carried on: all regions ask among those that are new, and a
region that has lost a neighbour asks among all again. Primary regions also ask among primary regions alone: the graph that
groups products needs k of those, however many objects in scenes look alike.
"""

from __future__ import annotations

from prodseek.index.stored import read_trained
from prodseek.runs.columns import LIKENESS
from prodseek.runs.facts import NeighboursFacts
from prodseek.runs.store import Summary
from prodseek.spark.neighbours.answering import answers_of_tasks
from prodseek.spark.neighbours.dealing import IndexCells, deal_to_tasks, plan_tasks
from prodseek.spark.neighbours.last_graph import asking_regions, carried_on_edges, last_graph
from prodseek.spark.neighbours.merging import merge_to_edges
from prodseek.spark.night import Night
from prodseek.spark.tables import facet_vectors

# Raise it when the same vectors would get other edges: those of earlier nights are then not carried on.
_GRAPH_VERSION = 1


def run(night: Night) -> Summary[NeighboursFacts]:
    """Find the nearest neighbours of every region that is new or has lost one. The others keep their edges."""
    settings = night.config.neighbours
    trained, manifest = read_trained(night.run)
    cells = IndexCells(trained, manifest.graph_nprobe, manifest.n_vectors)
    recipe = {
        "version": _GRAPH_VERSION,
        **settings.model_dump(),
        "nprobe": cells.nprobe,
        "cells": manifest.trained.sha256,
        "embedding_id": manifest.embedding_id,
    }
    last_run, why_none = last_graph(night, recipe)
    regions = asking_regions(night, last_run).cache()
    n_searched = regions.where("asks_all").count()
    vectors = facet_vectors(night.spark, night.run, LIKENESS)
    plan = plan_tasks(night, vectors, cells)
    # No row of the one table is without a row of the other; hashing the narrow one spares the wide one a sort.
    rows = vectors.join(regions.hint("shuffle_hash"), "detection_id")
    tasks = deal_to_tasks(rows, cells, plan, is_all_new=last_run is None)
    answers = answers_of_tasks(tasks, settings)
    if last_run is not None:
        answers = answers.unionByName(carried_on_edges(night, last_run, regions))
    n_edges = night.write_table(merge_to_edges(answers, cells.n_vectors, settings.k), "neighbours")
    regions.unpersist()
    facts = NeighboursFacts(
        nprobe=cells.nprobe,
        k=settings.k,
        recall=manifest.graph_recall,
        tasks=plan.n_tasks,
        recipe=recipe,
        searched_regions=n_searched,
        carried_on_from=None if last_run is None else last_run.run_id,
    )
    line = f"{n_edges} edges, nprobe {cells.nprobe}, recall@{settings.k} {manifest.graph_recall:.3f}, {plan.n_tasks} task(s)"
    how = f"{n_searched} regions asked among all" + (
        f", {why_none}"
        if last_run is None
        else f"; the others keep the edges of run {last_run.run_id} and asked only among those that are new"
    )
    return Summary(facts, rows={"neighbours": n_edges}, lines=(line, how))


if __name__ == "__main__":
    from prodseek.runner.start import main

    main("neighbours")
