"""Forecast what a night takes: a table of costs, each with its source, times the size of the catalogue.

It is the forecast of a first night with empty caches; a later night depends on what changed. If the root has a finished run and
the night runs on the same machine, that run's seconds for each row replace the table's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from prodseek.config import Config
from prodseek.errors import ConfigError
from prodseek.index.plan import plan_index
from prodseek.planning.measure import Measured
from prodseek.runs.facts import STAGES
from prodseek.runs.time_left import StageTimes

Unit = Literal["night", "photo", "region", "pair", "viewed photo", "pair of photos shown"]

# Pairs compared for each photo: 3.4 in the sample, which is full of copies, and 1.6 in clothes without copies.
PAIRS_PER_PHOTO = 2.5
# Sources: what tests/data/sample and clothes of a public data set took on two cores, beyond what is measured on photos.
_ONE_PHOTO = "a night of one photo"
_SAMPLE = "the sample's night"
_CLOTHES = "a night of 1,534 clothes"
_FIXED_SECONDS = {
    "ingest": 4.0,
    "embed": 8.3,
    "project": 6.0,
    "index": 1.4,
    "neighbours": 1.2,
    "duplicates": 6.2,
    "cluster": 6.6,
    "gates": 1.5,
    "report": 8.9,
}
_VECTOR_DIMS = 128 + 144 + 128 + 128  # the four facets of `embeddings`
_PARQUET_ROW_BYTES = 400  # of images; rows of the other tables take less
_EDGE_BYTES = 16
_VERDICT_BYTES = 600
# Memory of the driver.
_DRIVER_BYTES = 700 * 2**20  # Python with everything imported
_PDQ_BYTES = 32
_NAMES_BYTES = 290  # the id and the hash of a photo as Python strings, and their pointers
_FIT_ROW_BYTES = 6000  # when fitting groups: the embedding, its neighbours, working memory of UMAP and HDBSCAN
_SHARD_TASK_BYTES = 8 * 64 * 2**20  # see jobs/index.py
# A folder is listed on the driver, so it should not hold more photos than this.
_MAX_LISTED = 3_000_000


@dataclass(frozen=True)
class Cluster:
    """The machines of a night. cores, memory_bytes: of each executor; memory of all its processes together."""

    executors: int
    cores: int
    memory_bytes: int
    gpus: int
    is_this_machine: bool

    @property
    def slots(self) -> int:
        return self.executors * self.cores


@dataclass(frozen=True)
class Cost:
    """One cost. seconds: of a core, for each unit. where: on all task slots, or only on the driver. source: of the figure.

    tasks: how many tasks share the work, if that limits the number of useful slots.
    """

    stage: str
    what: str
    unit: Unit
    seconds: float
    where: Literal["slots", "driver"]
    source: str
    tasks: int | None = None


@dataclass(frozen=True)
class Forecast:
    """The forecast of a stage. memory_bytes: of `memory_of`, the process that needs most. price: None if no price is set."""

    stage: str
    seconds: float
    memory_bytes: int
    memory_of: str
    storage_bytes: int
    price: float | None
    source: str


@dataclass(frozen=True)
class Plan:
    """The forecast of a whole night. units: number of each unit. costs: the costs that the seconds were computed from."""

    n_rows: int
    units: Mapping[str, float]
    costs: tuple[Cost, ...]
    stages: tuple[Forecast, ...]
    index: str
    warnings: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    @property
    def storage_bytes(self) -> int:
        return sum(stage.storage_bytes for stage in self.stages)

    @property
    def price(self) -> float | None:
        prices = [stage.price for stage in self.stages]
        return None if None in prices else sum(price for price in prices if price is not None)


def count_units(config: Config, measured: Measured, n_rows: int) -> dict[str, float]:
    """How many photos, regions, pairs and so on a catalogue of `n_rows` has, extrapolated from the measured photos."""
    photos = n_rows * (1 - measured.reject_share)
    shown = min(photos, config.report.max_images)
    return {
        "night": 1,
        "photo": photos,
        "region": photos * measured.regions,
        "pair": photos * PAIRS_PER_PHOTO,
        "viewed photo": min(photos, config.project.nuisance_images),
        "pair of photos shown": shown * shown,
    }


def costs_of(config: Config, measured: Measured, units: Mapping[str, float]) -> tuple[Cost, ...]:
    """The table of costs."""
    on = f"measured on {measured.n_photos} photos"
    n_photos = units["photo"]

    def tasks(n: float, rows: int) -> int:
        return max(1, -(-int(n) // rows))

    def slots(stage: str, what: str, unit: Unit, seconds: float, source: str, n_tasks: int | None = None) -> Cost:
        return Cost(stage, what, unit, seconds, "slots", source, n_tasks)

    fixed = tuple(
        Cost(stage, "starting, planning, writing", "night", seconds, "driver", _ONE_PHOTO)
        for stage, seconds in _FIXED_SECONDS.items()
    )
    ingest_tasks = tasks(n_photos, config.ingest.rows_per_partition)
    embed_tasks = tasks(n_photos, config.embed.images_per_partition)
    feature_tasks = tasks(n_photos, config.duplicates.photos_per_partition)
    reading = measured.read_seconds
    return (
        *fixed,
        slots("ingest", "reading", "photo", reading / config.ingest.read_threads, on, ingest_tasks),
        slots("ingest", "decoding and hashing", "photo", measured.decode_seconds, on, ingest_tasks),
        slots("embed", "reading", "photo", reading / config.embed.read_threads, on, embed_tasks),
        slots("embed", "decoding at the network's size", "photo", measured.prepare_seconds, on, embed_tasks),
        slots("embed", f"the network ({measured.device})", "photo", measured.pass_seconds, on, embed_tasks),
        slots("project", "views", "viewed photo", measured.view_seconds, on, tasks(units["viewed photo"], 32)),
        Cost("index", "cells and shards", "region", 0.0001, "driver", f"{_SAMPLE}, rounded"),
        slots("neighbours", "joining", "region", 0.001, f"{_CLOTHES}, against the sample's"),
        slots("duplicates", "reading", "photo", reading, on, feature_tasks),
        slots("duplicates", "local features", "photo", measured.features_seconds, on, feature_tasks),
        slots("duplicates", "matching features", "pair", measured.pair_seconds, on),
        slots(
            "duplicates", "joining both photos' features, comparing pixels", "pair", 0.014, f"{_SAMPLE}, what is left"
        ),
        Cost("cluster", "compiling", "night", 5.0, "driver", f"{_SAMPLE}, against one photo's"),
        Cost(
            "cluster",
            "layouts and groups",
            "photo",
            0.0024,
            "driver",
            f"{_CLOTHES}, against the sample's, and two layouts more",
        ),
        slots("report", "reading", "photo", reading, on, tasks(n_photos, 128)),
        slots("report", "pictures", "photo", measured.picture_seconds, on, tasks(n_photos, 128)),
        # That night had to share its cores, so its figure was scaled by how much longer its embed took than forecast here.
        Cost("report", "data files and pages", "photo", 0.0075, "driver", f"{_CLOTHES}, what is left"),
        slots("report", "likest objects", "pair of photos shown", 6e-8, "100,000 objects, made up"),
    )


def forecast(
    config: Config,
    measured: Measured,
    n_rows: int,
    cluster: Cluster,
    is_folder: bool = False,
    earlier: StageTimes | None = None,
    free_bytes: int | None = None,
) -> Plan:
    """The plan of a night over `n_rows`. earlier: of an earlier run, if there is one. free_bytes: free space at the root."""
    units = count_units(config, measured, n_rows)
    costs = costs_of(config, measured, units)
    memory, storage = _memory(config, measured, units), _storage(config, measured, units)
    warnings = []
    try:
        index = plan_index(max(1, round(units["region"])), 128, config.index.memory_bytes)
        index_text, storage["index"] = str(index), index.n_bytes
        memory["index"] = (max(memory["index"][0], min(index.n_bytes, _SHARD_TASK_BYTES)), "a task")
    except ConfigError as error:
        index_text = "none fits"
        warnings.append(str(error))
    stages = []
    for stage in STAGES:
        seconds = sum(_wall_seconds(cost, units, cluster.slots) for cost in costs if cost.stage == stage)
        source = "the table of costs"
        before = earlier.expected_seconds(stage, n_rows) if earlier is not None and cluster.is_this_machine else None
        if earlier is not None and before is not None:
            seconds, source = before, f"run {earlier.run_id}"
        price = config.report.price_per_core_hour
        stages.append(
            Forecast(
                stage,
                seconds,
                *memory[stage],
                storage.get(stage, 0),
                None if price is None else seconds / 3600 * cluster.slots * price,
                source,
            )
        )
    plan = Plan(n_rows, units, costs, tuple(stages), index_text, ())
    warnings += _warnings(config, measured, plan, cluster, is_folder, free_bytes)
    return Plan(n_rows, units, costs, tuple(stages), index_text, tuple(warnings))


def _wall_seconds(cost: Cost, units: Mapping[str, float], slots: int) -> float:
    core_seconds = cost.seconds * units[cost.unit]
    if cost.where == "driver":
        return core_seconds
    if cost.tasks is None:
        return core_seconds / slots
    # Tasks have equal size and run in rounds; in the last round some slots may be idle.
    rounds = -(-cost.tasks // slots)
    return core_seconds * rounds / cost.tasks


def _memory(config: Config, measured: Measured, units: Mapping[str, float]) -> dict[str, tuple[int, str]]:
    """Stage -> bytes of the process that needs most memory, and which it is: a task or the driver's Python."""
    photos, regions = units["photo"], units["region"]
    fitted = min(photos, config.cluster.fit_rows)
    driver = {
        "project": config.project.sample_rows * 4 * measured.slice_bytes,  # float64
        "duplicates": photos * (_PDQ_BYTES + _NAMES_BYTES),
        "cluster": fitted * _FIT_ROW_BYTES,
        "report": min(photos, config.report.max_images) * 1000,
        "neighbours": min(regions, config.index.train_rows) * 4,
        "gates": 0,
    }
    found = dict.fromkeys(STAGES, (measured.peak_bytes, "a task"))
    for stage, n_bytes in driver.items():
        if _DRIVER_BYTES + n_bytes > measured.peak_bytes:
            found[stage] = (int(_DRIVER_BYTES + n_bytes), "the driver")
    return found


def _storage(config: Config, measured: Measured, units: Mapping[str, float]) -> dict[str, int]:
    """Stage -> bytes that a first night leaves in the root. Slices are stored twice: in the cache and in the run's table."""
    photos, regions = units["photo"], units["region"]
    shown = min(photos, config.report.max_images)
    sizes = {
        # Photos that a manifest holds are copied to the cache.
        "ingest": photos * (_PARQUET_ROW_BYTES + (measured.photo_bytes if config.catalog.bytes_column else 0)),
        "embed": regions * 2 * measured.slice_bytes,
        "project": regions * 4 * _VECTOR_DIMS,
        "neighbours": regions * config.neighbours.k * _EDGE_BYTES,
        "duplicates": photos * measured.features_bytes + units["pair"] * _VERDICT_BYTES,
        "cluster": photos * 100,
        # Pictures are stored in the cache and, as text, in the report.
        "report": shown * measured.pictures_bytes * (1 + 4 / 3),
    }
    return {stage: int(size) for stage, size in sizes.items()}


def _warnings(
    config: Config, measured: Measured, plan: Plan, cluster: Cluster, is_folder: bool, free_bytes: int | None
) -> list[str]:
    found = []
    task = max((stage.memory_bytes for stage in plan.stages if stage.memory_of == "a task"), default=0)
    java = memory_bytes(config.spark.driver_memory)
    needed = cluster.cores * task + java
    if needed > cluster.memory_bytes:
        found.append(
            f"{cluster.cores} tasks of {gib(task)} at a time and {gib(java)} of Java need {gib(needed)}; there are "
            f"{gib(cluster.memory_bytes)}: more memory, or fewer cores an executor"
        )
    for stage in plan.stages:
        if stage.memory_of == "the driver" and stage.memory_bytes > cluster.memory_bytes:
            found.append(
                f"{stage.stage} needs {gib(stage.memory_bytes)} on the driver, which is taken to have "
                f"{gib(cluster.memory_bytes)} as an executor has"
            )
    if free_bytes is not None and plan.storage_bytes > free_bytes:
        found.append(f"the night leaves {gib(plan.storage_bytes)} in the root, where {gib(free_bytes)} are free")
    if is_folder and plan.n_rows > _MAX_LISTED:
        found.append(f"a folder of {plan.n_rows:,} photos is listed on the driver; a manifest is read by all executors")
    photos = plan.units["photo"]
    if photos > config.report.max_images:
        found.append(f"the report shows {config.report.max_images:,} photos of {photos:,.0f} (report.max_images)")
    if photos > config.cluster.fit_rows:
        found.append(f"groups are fitted on {config.cluster.fit_rows:,} photos of {photos:,.0f} (cluster.fit_rows)")
    limit = config.gates.max_reject_share
    if limit is not None and measured.reject_share > limit:
        found.append(
            f"{measured.n_unreadable} of {measured.n_unreadable + measured.n_photos} photos could not be used: with so many "
            f"rejects gates.max_reject_share = {limit:g} lets nothing be published"
        )
    if cluster.gpus and measured.device.startswith("CPU"):
        found.append("the network was measured on a CPU: on the GPUs embed and project take less than said here")
    return found


def memory_bytes(text: str) -> int:
    """Parse a memory size as Spark writes it, such as 16g, into bytes. Raises ConfigError if it is not one."""
    found = re.fullmatch(r"(\d+)([kmgt])b?", text.strip().lower())
    if found is None:
        raise ConfigError(f"{text!r} is not a memory size; write it like 16g or 800m")
    return int(found[1]) << 10 * ("kmgt".index(found[2]) + 1)


def gib(n_bytes: float) -> str:
    """A size in bytes as text for people."""
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 0.1 * 2**30 else f"{n_bytes / 2**20:.0f} MiB"
