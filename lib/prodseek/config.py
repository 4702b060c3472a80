"""Configuration: YAML layers and `key=value` settings in, one frozen, checked value out."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from prodseek.errors import ConfigError
from prodseek.photos.decode import ImageLimits
from prodseek.runs.columns import LIKENESS, VISUAL, FacetName
from prodseek.storage.files import user_cache_dir

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(min_length=1)]

# What a manifest may say of a photo beside its product and its name, see catalog.columns.
KnownColumn = Literal["title", "category", "colour", "supplier", "created", "ean"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# An absolute path, or a URI with a host or bucket.
_PLACE = re.compile(r"/|[A-Za-z0-9]+://[^/]|(?i:file):/")
# Settings that decide no result: sections, or keys of one. They say where things are, how fast and how Spark runs, what is
# logged, and what is published. A catalogue that is run on a laptop and on a cluster is one run. Where the network computes in
# bf16, or without AVX-512, last bits depend on which photos share a batch: of two such runs either is right.
WITHOUT_EFFECT: dict[str, tuple[str, ...] | None] = {
    "store": None,
    "spark": None,
    "gates": None,
    "logs": None,
    "metrics": None,
    "catalog": ("uri",),
    "ingest": ("rows_per_partition", "read_threads"),
    "network": ("weights.file_name", "weights.cache_dir", "weights.sources"),
    "embed": ("images_per_partition", "batch_size", "read_threads", "torch_threads"),
    "duplicates": ("photos_per_partition", "pairs_per_partition"),
}
# What `duplicates.representative` once took -> what replaced it.
_OLD_CRITERIA = {
    "resolution": "detail, which does not count what was enlarged or blurred",
    "no_overlay": "nothing_added, which counts borders and margins too",
}
_HOST = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
# How the weights file of each network ends.
_WEIGHTS_ENDINGS = {
    "yolov3-tiny": (".weights",),
    "yolov3": (".weights",),
    "yolov3-spp": (".weights",),
    "resnet50": (".pth", ".pt"),
    "ultralytics": (".pt",),
}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CatalogConfig(_Section):
    """Where the catalogue is, and which columns of a manifest name photo and product, or hold the photos themselves."""

    uri: Name | None
    uri_column: Name | None
    product_id_column: Name | None
    bytes_column: Name | None
    columns: dict[KnownColumn, Name]
    more_uri_columns: tuple[Name, ...] | None
    csv_header: tuple[str, ...] | None
    csv_delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] | None
    csv_quote: Literal["", '"', "'"] | None
    encoding: Name | None
    uri_separators: tuple[Name, ...]
    product_id_from: Literal["file", "folder"]
    allowed_roots: tuple[Name, ...]
    read_attempts: Count
    read_timeout_seconds: Annotated[float, Field(gt=0.0)]
    http_hosts: tuple[Name, ...]
    http_timeout_seconds: Annotated[float, Field(gt=0.0)]
    exclude: tuple[Name, ...]
    any_ending: bool
    identity_columns: tuple[Name, ...]

    @model_validator(mode="before")
    @classmethod
    def _has_one_place_for_each_name(cls, values: Any) -> Any:
        """Take `columns.uri` and `columns.product_id` for the settings that they are called by otherwise."""
        columns = values.get("columns") if isinstance(values, dict) else None
        if not isinstance(columns, dict):
            return values
        own = {f"{name}_column": columns[name] for name in ("uri", "product_id") if name in columns}
        others = {
            name: column for name, column in columns.items() if f"{name}_column" not in own and column is not None
        }
        return {**values, **own, "columns": others}

    @field_validator("bytes_column")
    @classmethod
    def _leaves_photos_a_name(cls, column: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("uri_column", "") is None:
            if column is None:
                raise PydanticCustomError("photos", "must name a column of photos, for catalog.uri_column is null")
            if info.data.get("product_id_column", "") is None:
                raise PydanticCustomError(
                    "names", "catalog.uri_column and catalog.product_id_column are both null, and photos need a name"
                )
        return column

    @field_validator("csv_delimiter", mode="before")
    @classmethod
    def _is_tab_by_any_name(cls, delimiter: Any) -> Any:
        return "\t" if delimiter in ("\\t", "tab") else delimiter

    @field_validator("allowed_roots")
    @classmethod
    def _are_places(cls, roots: tuple[str, ...]) -> tuple[str, ...]:
        relative = [root for root in roots if not _PLACE.match(root)]
        if relative:
            raise PydanticCustomError(
                "places",
                "{root} must be an absolute path, or begin with a scheme and a name, such as s3://bucket",
                {"root": repr(relative[0])},
            )
        return roots

    @field_validator("identity_columns")
    @classmethod
    def _are_attributes_once(cls, columns: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        taken = {info.data.get("uri_column"), info.data.get("product_id_column"), info.data.get("bytes_column")}
        for number, column in enumerate(columns):
            if column in columns[:number]:
                raise PydanticCustomError("twice", "{column} is named twice", {"column": repr(column)})
            if column in taken:
                raise PydanticCustomError(
                    "taken",
                    "{column} is the column of the photo or its product, which differs anyway; name columns such as ean or size",
                    {"column": repr(column)},
                )
        return columns

    @field_validator("http_hosts")
    @classmethod
    def _are_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [host for host in hosts if not _HOST.fullmatch(host) and network_of(host) is None]
        if wrong:
            raise PydanticCustomError(
                "hosts",
                "{host} must be a host's name without scheme, port and wildcard, such as img.example.com, or an address or "
                "network, such as 10.0.0.0/8",
                {"host": repr(wrong[0])},
            )
        return hosts


class StoreConfig(_Section):
    # Hadoop takes the excluded characters for a glob pattern.
    root: Annotated[str, StringConstraints(pattern=r"^[^*?\[\]{}\\]+$")]


class ImagesConfig(_Section):
    max_bytes: Count
    max_pixels: Count
    min_side_px: Count

    @property
    def limits(self) -> ImageLimits:
        return ImageLimits(self.max_bytes, self.max_pixels, self.min_side_px)


class IngestConfig(_Section):
    rows_per_partition: Count
    read_threads: Count


class WeightsConfig(_Section):
    file_name: Name
    sha256: Sha256
    cache_dir: Name | None
    sources: tuple[Name, ...]

    @property
    def folder(self) -> Path:
        """Where the weights are kept once they are fetched."""
        return Path(self.cache_dir).expanduser() if self.cache_dir else user_cache_dir() / "weights"


class NetworkConfig(_Section):
    name: Literal["yolov3-tiny", "yolov3", "yolov3-spp", "resnet50", "ultralytics"]
    input_px: Annotated[int, Field(ge=96, le=2048, multiple_of=32)]
    weights: WeightsConfig


class EmbedConfig(_Section):
    images_per_partition: Count
    batch_size: Count
    read_threads: Count
    torch_threads: Count
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["auto", "fp32", "bf16", "fp16"]
    score_threshold: Fraction
    nms_iou_threshold: Fraction
    max_detections: Annotated[int, Field(ge=0)]


class ProjectConfig(_Section):
    fit_rows: Count
    sample_rows: Count
    nuisance_images: Annotated[int, Field(ge=0)]
    nuisance_views: Count
    refit_growth: Annotated[float, Field(ge=0.0)]


class IndexConfig(_Section):
    facets: tuple[FacetName, ...]
    recall_target: Annotated[float, Field(gt=0.0, le=1.0)]
    memory_bytes: Count
    train_rows: Count
    recall_queries: Count
    n_shards: Count | None
    retrain_imbalance: Annotated[float, Field(ge=1.0)]
    retrain_recall_drop: Fraction

    @field_validator("facets")
    @classmethod
    def _holds_likeness_once(cls, facets: tuple[str, ...]) -> tuple[str, ...]:
        return _each_once(facets, LIKENESS)


class NeighboursConfig(_Section):
    k: Count
    exclude_same_image: bool


class DuplicatesConfig(_Section):
    max_pdq_hamming: Annotated[int, Field(ge=0, le=256)]
    min_cosine: Annotated[float, Field(ge=-1.0, le=1.0)]
    max_neighbours: Annotated[int, Field(ge=0)]
    max_code_partners: Annotated[int, Field(ge=0)]
    min_confidence: Fraction
    merge_confidence: Fraction
    mirrored: Literal["copy", "look"]
    turned: Literal["copy", "look"]
    representative: tuple[
        Literal["detail", "nothing_added", "in_colour", "whole", "not_turned", "least_compressed", "oldest"], ...
    ]
    age_column: Name | None
    photos_per_partition: Count
    pairs_per_partition: Count

    @field_validator("representative", mode="before")
    @classmethod
    def _are_criteria_once(cls, names: Any) -> Any:
        for number, name in enumerate(names if isinstance(names, (list, tuple)) else ()):
            if name in _OLD_CRITERIA:
                raise PydanticCustomError(
                    "old_criterion",
                    "{name} is now called {now}",
                    {"name": name, "now": _OLD_CRITERIA[name]},
                )
            if name in names[:number]:
                raise PydanticCustomError("twice", "{name} is named twice", {"name": repr(name)})
        return names


class ClusterConfig(_Section):
    facets: tuple[FacetName, ...]
    fit_rows: Count
    n_layouts: Count
    n_components: Annotated[int, Field(ge=2)]
    n_neighbors: Annotated[int, Field(ge=2)]
    min_dist: Fraction
    min_cluster_size: Annotated[int, Field(ge=2)]
    coarse_min_cluster_size: Annotated[int, Field(ge=2)]
    min_samples: Count
    exemplars: Count
    refit_change: Annotated[float, Field(ge=0.0)]
    id_overlap: Fraction

    @field_validator("facets")
    @classmethod
    def _holds_visual_once(cls, facets: tuple[str, ...]) -> tuple[str, ...]:
        return _each_once(facets, VISUAL)


class GatesConfig(_Section):
    """Limits of a night's figures; None switches one off."""

    max_reject_share: Fraction | None
    min_regions_per_image: Annotated[float, Field(ge=0.0)] | None
    max_regions_per_image: Annotated[float, Field(ge=0.0)] | None
    max_odd_norm_share: Fraction | None
    max_missing_share: Fraction | None
    max_embedding_drift: Annotated[float, Field(ge=0.0)] | None
    max_group_churn: Fraction | None


class ReportConfig(_Section):
    max_images: Count
    region_px: Annotated[int, Field(ge=32, le=1024)]
    photo_px: Annotated[int, Field(ge=32, le=1024)]
    price_per_core_hour: Annotated[float, Field(ge=0.0)] | None
    currency: Name


class SearchConfig(_Section):
    min_confidence: Fraction


class LogsConfig(_Section):
    """format: what standard error gets; the root gets JSON in any case."""

    format: Literal["console", "json"]


class MetricsConfig(_Section):
    prometheus_file: Name | None


class SparkConfig(_Section):
    master: Name | None
    driver_memory: Annotated[str, StringConstraints(pattern=r"^\d+[kmgt]$")]
    conf: dict[str, str]


class Config(_Section):
    """Every setting of a run; see conf/base.yaml for what each means."""

    catalog: CatalogConfig
    store: StoreConfig
    images: ImagesConfig
    ingest: IngestConfig
    network: NetworkConfig
    embed: EmbedConfig
    project: ProjectConfig
    index: IndexConfig
    neighbours: NeighboursConfig
    duplicates: DuplicatesConfig
    cluster: ClusterConfig
    gates: GatesConfig
    report: ReportConfig
    search: SearchConfig
    logs: LogsConfig
    metrics: MetricsConfig
    spark: SparkConfig
    seed: Annotated[int, Field(ge=0, lt=2**31)]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the settings that can change a result, see `deciding_settings`."""
        return hashlib.sha256(
            json.dumps(deciding_settings(self.model_dump(mode="json")), sort_keys=True).encode()
        ).hexdigest()


def deciding_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of a configuration as manifests hold it what can change a result."""
    deciding: dict[str, Any] = {}
    for name, value in settings.items():
        keys = WITHOUT_EFFECT.get(name, ())
        if keys is not None:
            deciding[name] = _leave_out(value, keys) if isinstance(value, Mapping) else value
    return deciding


def _leave_out(section: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """A section without some keys; `weights.sources` is the key `sources` of the section `weights` in it."""
    kept: dict[str, Any] = {}
    for name, value in section.items():
        if name not in keys:
            within = [key.removeprefix(f"{name}.") for key in keys if key.startswith(f"{name}.")]
            kept[name] = _leave_out(value, within) if within and isinstance(value, Mapping) else value
    return kept


def changed_settings(then: Mapping[str, Any], now: Mapping[str, Any], within: str = "") -> list[str]:
    """The settings that two configurations, as manifests hold them, do not agree in: `section.key was this, now that`."""
    changes: list[str] = []
    for name in (*now, *(name for name in then if name not in now)):
        old, new, key = then.get(name), now.get(name), f"{within}{name}"
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            changes += changed_settings(old, new, f"{key}.")
        elif old != new:
            changes.append(f"{key} was {json.dumps(old)}, now {json.dumps(new)}")
    return changes


def load_config(
    environment: str = "local",
    config_files: Sequence[Path] = (),
    settings: Sequence[str] = (),
    catalog: str | None = None,
    root: str | None = None,
    remembered: Mapping[str, Any] | None = None,
) -> Config:
    """Lay base, `environment` (local or cluster), the caller's files and `key=value` settings over one another.

    remembered: sections that lie below the caller's files, for a root knows what its last run was told.
    catalog, root: laid over `catalog.uri` and `store.root` as they are, because they are paths, not YAML.
    Raises ConfigError that lists every fault at once.
    """
    faults: list[str] = []
    merged: dict[str, Any] = {}
    for name in ("base", environment):
        resource = files("prodseek.conf").joinpath(f"{name}.yaml")
        if not resource.is_file():
            raise ConfigError(f"environment: {environment!r} is unknown; allowed: local, cluster")
        merged = _overlay(merged, yaml.safe_load(resource.read_text(encoding="utf-8")) or {})
    merged = _overlay(merged, dict(remembered or {}))
    for path in config_files:
        merged = _overlay(merged, _read_yaml(path, faults))
    for setting in settings:
        merged = _overlay(merged, _parse_setting(setting, faults))
    if catalog is not None:
        merged = _overlay(merged, {"catalog": {"uri": catalog}})
    if root is not None:
        merged = _overlay(merged, {"store": {"root": root}})
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        faults.extend(_explain(fault) for fault in error.errors())
    faults.extend(_weights_of_another_network(merged))
    if faults:
        raise ConfigError(f"{len(faults)} fault(s) in the configuration:\n" + "\n".join(f"  {f}" for f in faults))
    return config


def network_of(text: str) -> Network | None:
    """The address or network that `text` is; None for a name."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def _each_once(facets: tuple[str, ...], needed: str) -> tuple[str, ...]:
    if needed not in facets or len(set(facets)) < len(facets):
        raise PydanticCustomError("facets", "must name each facet once, and {needed} among them", {"needed": needed})
    return facets


def _overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _overlay(merged[key], value)
        else:
            merged[key] = value
    return merged


def _read_yaml(path: Path, faults: list[str]) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        faults.append(f"{path}: cannot be read: {error}")
        return {}
    if values is None:
        return {}
    if not isinstance(values, dict):
        faults.append(f"{path}: holds {type(values).__name__}, must hold `section:` entries")
        return {}
    return values


def _parse_setting(setting: str, faults: list[str]) -> dict[str, Any]:
    key, separator, text = setting.partition("=")
    section, dot, name = key.strip().partition(".")
    if not separator or not section or (dot and not name):
        faults.append(f"--set {setting!r}: must look like section.key=value, for example neighbours.k=32")
        return {}
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    for part in reversed(key.strip().split(".")):
        value = {part: value}
    return dict(value)


def _weights_of_another_network(merged: dict[str, Any]) -> list[str]:
    """Say here, not on an executor, that a network was chosen and its weights forgotten."""
    network = merged.get("network")
    weights = network.get("weights") if isinstance(network, dict) else None
    if not isinstance(network, dict) or not isinstance(weights, dict):
        return []
    name, file_name = network.get("name"), weights.get("file_name")
    endings = _WEIGHTS_ENDINGS.get(str(name))
    if endings is None or not isinstance(file_name, str) or file_name.endswith(endings):
        return []
    return [
        f"network.weights.file_name: {file_name!r} is not allowed: the weights of {name} end in {' or '.join(endings)}; "
        "give file_name, sha256 and sources of the file to use"
    ]


def _explain(fault: Any) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{key}: unknown key (its value is {fault['input']!r}); see `prodseek config --show` for all keys"
    if fault["type"] == "missing":
        return f"{key}: missing"
    allowed = fault["msg"][0].lower() + fault["msg"][1:]
    return f"{key}: {fault['input']!r} is not allowed: {allowed}"
