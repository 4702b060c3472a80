"""Layers, settings, and all errors at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from prodseek.config import WITHOUT_EFFECT, load_config
from prodseek.duplicates.keeping import Criterion
from prodseek.errors import ConfigError
from prodseek.vision.networks import NETWORKS


def test_layers_are_laid_over_one_another(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("neighbours:\n  k: 5\nembed:\n  batch_size: 3\n")
    config = load_config("cluster", [mine], ["neighbours.k=7"], catalog="ü/#1?.csv", root="/some/root")
    assert (config.neighbours.k, config.embed.batch_size) == (7, 3)
    assert config.ingest.rows_per_partition == 4096 and config.cluster.n_components == 8
    assert (config.catalog.uri, config.store.root, config.spark.master) == ("ü/#1?.csv", "/some/root", None)


def test_what_changes_no_result_makes_no_other_run() -> None:
    here = load_config("local", catalog="/photos", root="out")
    aside = [
        "ingest.rows_per_partition=7",
        "ingest.read_threads=9",
        "embed.images_per_partition=3",
        "embed.batch_size=2",
        "embed.read_threads=5",
        "embed.torch_threads=2",
        "duplicates.photos_per_partition=9",
        "duplicates.pairs_per_partition=9",
        "network.weights.sources=[/elsewhere]",
        "network.weights.cache_dir=/elsewhere",
        "gates.max_reject_share=null",
        "logs.format=json",
        "metrics.prometheus_file=/a.prom",
        "spark.driver_memory=9g",
    ]
    assert load_config("cluster", catalog="s3://bucket/photos", root="s3://bucket/out").fingerprint == here.fingerprint
    for setting in aside:
        assert load_config(settings=[setting]).fingerprint == here.fingerprint, setting


def test_what_changes_a_result_makes_another_run() -> None:
    here = load_config().fingerprint
    deciding = [
        "catalog.uri_column=photo",
        "images.max_pixels=9999",
        "network.input_px=608",
        "network.weights.sha256=" + "a" * 64,
        "embed.precision=fp32",
        "embed.score_threshold=0.3",
        "duplicates.max_pdq_hamming=31",
        "duplicates.mirrored=copy",
        "duplicates.turned=copy",
        "catalog.identity_columns=[ean]",
        "cluster.min_cluster_size=9",
        "index.recall_target=0.9",
        "report.max_images=9",
        "seed=1",
    ]
    found = {setting: load_config(settings=[setting]).fingerprint for setting in deciding}
    assert here not in found.values() and len(set(found.values())) == len(deciding)


def test_no_setting_is_left_out_by_a_name_that_is_gone() -> None:
    """A key that was renamed would silently decide again."""
    settings = load_config().model_dump(mode="json")
    for section, keys in WITHOUT_EFFECT.items():
        for key in keys or ():
            value = settings[section]
            for part in key.split("."):
                value = value[part]


def test_every_error_is_reported_at_once_with_key_value_and_what_is_allowed(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("- a list\n")
    settings = ["neighbours.k=0", "embed.device=tpu", "embed.bach_size=3", "nonsense", "store.root=a*b"]
    with pytest.raises(ConfigError) as error:
        load_config("local", [broken, tmp_path / "absent.yaml"], settings)
    text = str(error.value)
    for part in (
        "7 fault(s)",
        "neighbours.k: 0 is not allowed: input should be greater than or equal to 1",
        "embed.device: 'tpu' is not allowed: input should be 'auto', 'cpu' or 'cuda'",
        "embed.bach_size: unknown key",
        "--set 'nonsense'",
        "store.root: 'a*b'",
        "broken.yaml: holds list",
        "absent.yaml: cannot be read",
    ):
        assert part in text


WEIGHTS = ["network.weights.sha256=" + "a" * 64, "network.weights.sources=[/models/file]"]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_can_be_asked_for(name: str) -> None:
    file_name = {"resnet50": "resnet50.pth", "ultralytics": "yolov3u.pt"}.get(name, f"{name}.weights")
    settings = [f"network.name={name}", f"network.weights.file_name={file_name}", *WEIGHTS]
    assert load_config(settings=settings).network.name == name


@pytest.mark.parametrize(("name", "ending"), [("resnet50", ".pth or .pt"), ("ultralytics", ".pt")])
def test_a_network_without_its_weights_is_reported_with_all_else(name: str, ending: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(settings=[f"network.name={name}", "network.input_px=100", "network.weights.sha256=abc"])
    text = str(error.value)
    assert "3 fault(s)" in text
    assert f"file_name: 'yolov3-tiny.weights' is not allowed: the weights of {name} end in {ending}; " in text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["catalog.uri_column=null"], "catalog.bytes_column: None is not allowed: must name a column of photos"),
        (
            ["catalog.uri_column=null", "catalog.product_id_column=null", "catalog.bytes_column=bytes"],
            "catalog.bytes_column: 'bytes' is not allowed: .* are both null, and photos need a name",
        ),
        (
            ["catalog.bytes_column=''"],
            "catalog.bytes_column: '' is not allowed: string should have at least 1 character",
        ),
    ],
)
def test_photos_in_a_manifest_need_a_name(settings: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(settings=settings)
    assert load_config(settings=["catalog.bytes_column=bytes", "catalog.uri_column=null"]).catalog.uri_column is None
    assert load_config(settings=["catalog.bytes_column=bytes", "catalog.product_id_column=null"]).catalog.uri_column


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("[ean, size, ean]", "catalog.identity_columns: .* is not allowed: 'ean' is named twice"),
        ("[uri]", "'uri' is the column of the photo or its product, which differs anyway"),
        ("['']", "string should have at least 1 character"),
        ("ean", "catalog.identity_columns: 'ean' is not allowed: input should be a valid tuple"),
    ],
)
def test_columns_that_tell_articles_apart_are_attributes_named_once(columns: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(settings=[f"catalog.identity_columns={columns}"])
    config = load_config(settings=["catalog.identity_columns=[ean, size]", "catalog.uri_column=photo"])
    assert config.catalog.identity_columns == ("ean", "size")


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ("[resolution, oldest]", "resolution is now called detail, which does not count what was enlarged or blurred"),
        ("[no_overlay]", "no_overlay is now called nothing_added, which counts borders and margins too"),
        ("[detail, oldest, detail]", "'detail' is named twice"),
        ("[prettiest]", "representative.0: 'prettiest' is not allowed: input should be 'detail', .* or 'oldest'"),
    ],
)
def test_criteria_that_are_gone_name_what_replaced_them(criteria: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(settings=[f"duplicates.representative={criteria}"])


def test_the_criteria_by_which_a_photo_is_kept_are_all_there_in_their_order() -> None:
    assert load_config().duplicates.representative == tuple(Criterion)
    assert load_config(settings=["duplicates.representative=[oldest]"]).duplicates.representative == ("oldest",)


def test_unknown_environment() -> None:
    with pytest.raises(ConfigError, match="'mars' is unknown; allowed: local, cluster"):
        load_config("mars")


def test_frozen() -> None:
    with pytest.raises(ValidationError):
        load_config().neighbours.k = 3  # type: ignore[misc]


def test_fingerprint_follows_results_not_places() -> None:
    base = load_config()
    assert (
        load_config(root="/elsewhere", catalog="x", settings=["spark.driver_memory=3g"]).fingerprint == base.fingerprint
    )
    assert load_config(settings=["neighbours.k=3"]).fingerprint != base.fingerprint
