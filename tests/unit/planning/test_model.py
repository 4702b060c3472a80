"""The arithmetic of a plan: what grows with what, what the cluster changes, and what is warned of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodseek.config import load_config
from prodseek.errors import ConfigError
from prodseek.planning.measure import Measured
from prodseek.planning.model import Cluster, Plan, forecast, memory_bytes
from prodseek.runs.facts import STAGES
from prodseek.runs.time_left import StageTimes

CONFIG = load_config()
GIB = 2**30
MEASURED = Measured(
    n_photos=100,
    n_unreadable=0,
    n_processes=2,
    device="CPU, bf16",
    read_seconds=0.001,
    decode_seconds=0.005,
    prepare_seconds=0.004,
    pass_seconds=0.016,
    features_seconds=0.013,
    picture_seconds=0.009,
    view_seconds=0.17,
    pair_seconds=0.0005,
    photo_bytes=28000,
    pictures_bytes=6000,
    features_bytes=2000,
    regions=2.5,
    slice_bytes=3970,
    peak_bytes=GIB,
)
HERE = Cluster(1, 2, 24 * GIB, 0, True)


def plan_of(n_rows: int, cluster: Cluster = HERE, measured: Measured = MEASURED, **more: object) -> Plan:
    return forecast(CONFIG, measured, n_rows, cluster, **more)  # type: ignore[arg-type]


def test_every_stage_is_there_and_every_cost_says_where_it_is_from() -> None:
    plan = plan_of(1000)
    assert tuple(stage.stage for stage in plan.stages) == STAGES
    assert {cost.stage for cost in plan.costs} == set(STAGES)
    assert all(cost.source and cost.seconds >= 0 and cost.unit in plan.units for cost in plan.costs)
    assert plan.seconds == sum(stage.seconds for stage in plan.stages) and plan.price is None
    assert plan.index.startswith("2.5 k x 128-d")
    assert plan.warnings == ()


def test_seconds_of_one_stage_by_hand() -> None:
    (embed,) = (stage for stage in plan_of(1000).stages if stage.stage == "embed")
    each = 0.001 / CONFIG.embed.read_threads + 0.004 + 0.016
    assert embed.seconds == pytest.approx(8.3 + 1000 * each * 8 / 16)  # 16 tasks of 64 photos in 8 rounds
    (embed,) = (stage for stage in plan_of(1000, Cluster(5, 1, GIB, 0, False)).stages if stage.stage == "embed")
    assert embed.seconds == pytest.approx(8.3 + 1000 * each * 4 / 16)  # in the last round one of five works


@given(st.integers(1, 10**8), st.integers(1, 10**8), st.integers(1, 64), st.integers(1, 64))
def test_more_rows_cost_more_and_more_slots_less(few: int, more: int, slots: int, more_slots: int) -> None:
    few, more = sorted((few, more))
    slots, more_slots = sorted((slots, more_slots))
    # On one core: with more, some rows more may fill another partition and with it another core.
    small, large = (plan_of(n, Cluster(1, 1, GIB, 0, False)) for n in (few, more))
    assert small.storage_bytes <= large.storage_bytes and small.seconds <= large.seconds * (1 + 1e-9)
    narrow, wide = (plan_of(more, Cluster(n, 1, GIB, 0, False)) for n in (slots, more_slots))
    assert wide.seconds <= narrow.seconds * (1 + 1e-9)


def test_an_earlier_run_on_this_machine_counts_more_than_the_table() -> None:
    earlier = StageTimes("20260101T000000Z-00000001", 500, {"embed": 100.0})
    of = {stage.stage: stage for stage in plan_of(1000, earlier=earlier).stages}
    assert (of["embed"].seconds, of["embed"].source) == (200.0, "run 20260101T000000Z-00000001")
    assert of["ingest"].source == "the table of costs"
    elsewhere = {
        stage.stage: stage for stage in plan_of(1000, replace(HERE, is_this_machine=False), earlier=earlier).stages
    }
    assert elsewhere["embed"].source == "the table of costs"


def test_the_price_is_of_all_cores() -> None:
    config = load_config(settings=["report.price_per_core_hour=3.6"])
    plan = forecast(config, MEASURED, 1000, Cluster(4, 2, 8 * GIB, 0, False))
    assert plan.price == pytest.approx(plan.seconds * 8 * 3.6 / 3600)


@pytest.mark.parametrize(
    ("n_rows", "cluster", "measured", "more", "said"),
    [
        (1000, Cluster(1, 8, 8 * GIB, 0, True), MEASURED, {}, "8 tasks of 1.0 GiB at a time and 2.0 GiB of Java"),
        (50_000_000, HERE, MEASURED, {"free_bytes": 10 * GIB}, "in the root, where 10.0 GiB are free"),
        (200_000_000, HERE, MEASURED, {}, "duplicates needs 60.7 GiB on the driver"),
        (20_000_000, HERE, MEASURED, {}, "index.memory_bytes"),
        (4_000_000, HERE, MEASURED, {"is_folder": True}, "a manifest is read by all executors"),
        (150_000, HERE, MEASURED, {}, "the report shows 100,000 photos of 150,000"),
        (150_000, HERE, MEASURED, {}, "groups are fitted on 100,000 photos"),
        (1000, HERE, replace(MEASURED, n_unreadable=100), {}, "100 of 200 photos could not be used"),
        (1000, replace(HERE, gpus=1), MEASURED, {}, "was measured on a CPU"),
    ],
)
def test_what_will_not_fit_is_said(
    n_rows: int, cluster: Cluster, measured: Measured, more: dict[str, object], said: str
) -> None:
    if said == "index.memory_bytes":
        config = load_config(settings=["index.memory_bytes=1000000"])
        warnings = forecast(config, measured, n_rows, cluster).warnings
    else:
        warnings = plan_of(n_rows, cluster, measured, **more).warnings
    assert any(said in warning for warning in warnings), warnings


@pytest.mark.parametrize(("text", "n_bytes"), [("16g", 16 * GIB), ("800M", 800 * 2**20), ("1tb", 2**40), ("2k", 2048)])
def test_sizes(text: str, n_bytes: int) -> None:
    assert memory_bytes(text) == n_bytes


@pytest.mark.parametrize("text", ["", "16", "g", "-1g", "1.5g", "16x"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a memory size"):
        memory_bytes(text)
