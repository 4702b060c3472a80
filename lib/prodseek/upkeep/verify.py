"""Is a finished run what its manifest says? Everything is read again: tables, index, projection, cache, some photos."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from prodseek.catalogue.photo_copies import copies_folder, copy_name, copy_uri, list_copies
from prodseek.embedding.projection import PROJECTION, Projection
from prodseek.errors import ConfigError, DamagedError, StoreError, WeightsError
from prodseek.index.shards import FileEntry
from prodseek.index.stored import index_folder, index_manifest
from prodseek.photos.decode import content_id
from prodseek.runs.facts import EmbedFacts, IndexFacts, IngestFacts, ProjectFacts, regions_cache
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import LATEST, MANIFEST, WORK, Run, Store, read_columns, root_option
from prodseek.runs.tables import TABLES, TableSchema, table_schema
from prodseek.storage import files
from prodseek.storage.read_ahead import map_ahead
from prodseek.upkeep.reembed import compare_photos

# Keys of larger tables are not compared: they would have to be held in memory.
_KEY_ROWS = 20_000_000
_READ_THREADS = 4
_LISTED = 5
_CHUNK_BYTES = 1 << 22
_START_AGAIN = "start the command again that made the run"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. detail: what was found; repair: what to do, where something is wrong."""

    name: str
    outcome: Literal["good", "bad", "skipped"]
    detail: str
    repair: str = ""


@dataclass(frozen=True)
class _Found:
    """What reading a table brought. faults: one text each."""

    rows: int = 0
    n_files: int = 0
    faults: tuple[str, ...] = ()


def run_to_verify(store: Store) -> Run:
    """The run that LATEST names, or the newest finished one where it names none. Raises StoreError when there is none."""
    try:
        return store.named_by_latest()
    except StoreError:
        for run_id in reversed(store.run_ids()):
            if store.run(run_id).is_finished:
                return store.run(run_id)
        raise


def verify(store: Store, run: Run, n_photos: int) -> Iterator[Check]:
    """Check a run, one result after the other; the rest is left out when its manifest cannot be read.

    n_photos: how many go through the network again, if photos and weights are available.
    """
    yield _latest(store)
    try:
        manifest = run.manifest()
    except StoreError as error:
        yield Check(MANIFEST, "bad", str(error), f"{_START_AGAIN}; it is written again from what the stages left")
        return
    lacking = _lacking(manifest)
    if lacking:
        yield Check(MANIFEST, "bad", f"it lacks {', '.join(lacking)}: another version wrote it", run.how_to_make_again)
        return
    try:
        run.require_schemas()
    except StoreError as error:
        yield Check("schemas", "bad", str(error), "start the night again, with this version of prodseek")
        return
    if files.exists(run.path(WORK)):
        yield Check(MANIFEST, "bad", "the publication was cut short", f"{_START_AGAIN}: it is completed")
    else:
        yield Check(MANIFEST, "good", f"finished {manifest.finished}")
    counted: dict[str, int] = {}
    for name, n_rows in manifest.tables.items():
        if name not in TABLES:
            yield Check(f"table {name}", "skipped", "another version wrote it; this one does not know what is in it")
            continue
        found = read_whole(run.table_uri(name), table_schema(name))
        counted[name] = found.rows
        yield _table(run, name, n_rows, found)
    yield _reconciliation(run, manifest.facts(IngestFacts).input_rows, counted)
    yield _projection(run, manifest)
    for facet in manifest.facts(IndexFacts).facets:
        yield _index(run, facet, counted.get("embeddings", 0))
    yield _report(run)
    yield _cache(run, manifest)
    if manifest.config.get("catalog", {}).get("bytes_column") is not None:
        yield _copies(run, n_photos)
    yield _photos(run, manifest, n_photos)


def _lacking(manifest: Manifest) -> list[str]:
    """What is used here of a manifest, and is not in it."""
    there = {
        "finished": manifest.finished is not None,
        "tables": bool(manifest.tables),
        "reconciliation": manifest.reconciliation is not None,
    }
    lacking = [name for name, is_there in there.items() if not is_there]
    for kind in (IngestFacts, EmbedFacts, ProjectFacts, IndexFacts):
        try:
            manifest.facts(kind)
        except DamagedError:
            lacking.append(f"facts of stage {kind.stage}")
    return lacking


def read_whole(uri: str, schema: TableSchema) -> _Found:
    """Read every value of a table, page checksums compared: rows, columns and types, values that must be there, keys."""
    try:
        file_system, paths = _parquet_files(uri)
    except OSError as error:
        return _Found(faults=(f"it cannot be listed: {error}",))
    if not paths:
        return _Found(faults=("there is no Parquet file",))
    read = partial(_read_file, file_system=file_system, schema=schema)
    parts = list(map_ahead(read, paths, _READ_THREADS))
    rows = sum(part.rows for part in parts)
    faults = [fault for part in parts for fault in part.faults]
    if not faults and schema.key and rows <= _KEY_ROWS:
        faults += _repeated_keys(file_system, paths, schema)
    return _Found(rows, len(paths), tuple(faults))


def _parquet_files(uri: str) -> tuple[fs.FileSystem, list[str]]:
    file_system, folder = files.locate(uri)
    infos = file_system.get_file_info(fs.FileSelector(folder, recursive=True))
    return file_system, sorted(info.path for info in infos if info.path.endswith(".parquet"))


def _read_file(path: str, file_system: fs.FileSystem, schema: TableSchema) -> _Found:
    name = path.rsplit("/", 1)[-1]
    must_be_there = [column.name for column in schema.columns if not column.nullable]
    absent = dict.fromkeys(must_be_there, 0)
    rows = 0
    try:
        with pq.ParquetFile(path, filesystem=file_system, page_checksum_verification=True) as file:
            wrong = _wrong_columns(file.schema_arrow, schema)
            if wrong:
                return _Found(file.metadata.num_rows, 1, (f"{name}: {wrong}",))
            for batch in file.iter_batches():
                rows += batch.num_rows
                for column in must_be_there:
                    absent[column] += batch.column(column).null_count
    except (OSError, pa.ArrowException) as error:
        return _Found(rows, 1, (f"{name} cannot be read: {error}",))
    return _Found(rows, 1, tuple(f"{name}: {count} rows without {column}" for column, count in absent.items() if count))


def _wrong_columns(found: pa.Schema, schema: TableSchema) -> str:
    """What differs from the schema; order, and whether a value may be absent, aside: Spark writes neither reliably."""
    there = {field.name: _spelled(field.type) for field in found}
    wanted = {field.name: _spelled(field.type) for field in schema.arrow}
    faults = [f"no column {name}" for name in wanted if name not in there]
    faults += [f"column {name} is not in the schema" for name in there if name not in wanted]
    faults += [
        f"column {name} is {there[name]}, must be {kind}"
        for name, kind in wanted.items()
        if name in there and there[name] != kind
    ]
    return ", ".join(faults)


def _spelled(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list<{_spelled(kind.value_type)}>"
    if pa.types.is_map(kind):
        return f"map<{_spelled(kind.key_type)}, {_spelled(kind.item_type)}>"
    if pa.types.is_struct(kind):
        return f"struct<{', '.join(f'{part.name}: {_spelled(part.type)}' for part in kind)}>"
    return str(kind)


def _repeated_keys(file_system: fs.FileSystem, paths: list[str], schema: TableSchema) -> list[str]:
    key = list(schema.key)
    table = pa.concat_tables(pq.ParquetFile(path, filesystem=file_system).read(columns=key) for path in paths)
    n_distinct = table.group_by(key).aggregate([]).num_rows
    return (
        [f"{table.num_rows - n_distinct} rows repeat the key {', '.join(key)}"] if n_distinct < table.num_rows else []
    )


def _latest(store: Store) -> Check:
    try:
        latest = store.latest()
    except StoreError as error:
        return Check(
            LATEST,
            "bad",
            str(error),
            f"start `prodseek run nightly {root_option(store.root)}`: it lets LATEST name the newest sound run",
        )
    newer = [run_id for run_id in store.run_ids() if run_id > latest.run_id and store.run(run_id).is_sound]
    also = f"; newer and finished: {', '.join(newer)}" if newer else ""
    return Check(LATEST, "good", f"{latest.run_id}{also}")


def _table(run: Run, name: str, n_rows: int, found: _Found) -> Check:
    faults = list(found.faults)
    if found.rows != n_rows and not faults:
        faults = ["a file is missing, or one too many is there"]
    counts = f"{found.rows} of {n_rows} rows read, {found.n_files} files"
    if faults:
        return Check(f"table {name}", "bad", f"{counts}; {'; '.join(faults)}", run.how_to_make_again)
    return Check(f"table {name}", "good", f"{found.rows} rows in {found.n_files} files")


def _reconciliation(run: Run, input_rows: int, counted: dict[str, int]) -> Check:
    images, rejects = counted.get("images", 0), counted.get("rejects", 0)
    detail = f"{images} images + {rejects} rejects, {input_rows} rows of the catalogue"
    if images + rejects == input_rows:
        return Check("rows of the catalogue", "good", detail)
    return Check("rows of the catalogue", "bad", detail, run.how_to_make_again)


def _projection(run: Run, manifest: Manifest) -> Check:
    expected = manifest.facts(ProjectFacts).projection_id
    try:
        found = Projection.from_bytes(files.read_bytes(run.path(PROJECTION))).projection_id
    except (StoreError, OSError) as error:
        return Check("projection", "bad", str(error), run.how_to_make_again)
    if found != expected:
        return Check("projection", "bad", f"it is {found}, the manifest says {expected}", run.how_to_make_again)
    return Check("projection", "good", found)


def _index(run: Run, facet: str, n_embeddings: int) -> Check:
    name = f"index of {facet}"
    repair = (
        f"remove {run.path('stages/index.json')} and {run.path(MANIFEST)} and {_START_AGAIN}: it builds the index anew "
        "and nothing else. An older run that nobody asks for can simply be removed"
    )
    try:
        manifest = index_manifest(run, facet)
    except StoreError as error:
        return Check(name, "bad", str(error), repair)
    faults = [fault for entry in (manifest.trained, *manifest.shards) if (fault := _altered(run, facet, entry))]
    n_vectors = sum(shard.n_vectors for shard in manifest.shards)
    if n_vectors != n_embeddings:
        faults.append(f"{n_vectors} vectors, but {n_embeddings} embeddings")
    if faults:
        return Check(name, "bad", "; ".join(faults), repair)
    return Check(name, "good", f"{n_vectors} vectors in {len(manifest.shards)} shards, SHA-256 of all files right")


def _altered(run: Run, facet: str, entry: FileEntry) -> str | None:
    uri = run.path(index_folder(facet), entry.file)
    digest, n_bytes = hashlib.sha256(), 0
    try:
        file_system, path = files.locate(uri)
        with file_system.open_input_stream(path) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
                n_bytes += len(chunk)
    except FileNotFoundError:
        return f"{entry.file} is missing"
    except OSError as error:
        return f"{entry.file} cannot be read: {error}"
    if n_bytes != entry.n_bytes:
        return f"{entry.file} has {n_bytes} bytes, the manifest says {entry.n_bytes}"
    return None if digest.hexdigest() == entry.sha256 else f"{entry.file} is altered: its SHA-256 is not the manifest's"


def _report(run: Run) -> Check:
    pages = [name for name in files.list_names(run.path("report")) if name.endswith(".html")]
    if pages:
        return Check("report", "good", ", ".join(pages))
    repair = f"remove {run.path('stages/report.json')} and {run.path(MANIFEST)} and {_START_AGAIN}: it writes the report anew"
    return Check("report", "bad", f"there is no page in {run.path('report')}", repair)


def _cache(run: Run, manifest: Manifest) -> Check:
    """Ends of the files only: photos of earlier nights are in it too, and a night reads what it needs of them."""
    uri = run.cache_uri(regions_cache(manifest.facts(EmbedFacts).model_id))
    batches = [files.join(uri, name) for name in files.list_names(uri)]
    whole = [batch for batch in batches if files.exists(files.join(batch, "_SUCCESS"))]
    damaged: list[str] = []
    n_rows = 0
    for batch in whole:
        file_system, paths = _parquet_files(batch)
        try:
            n_rows += sum(pq.read_metadata(path, filesystem=file_system).num_rows for path in paths)
        except (OSError, pa.ArrowException) as error:
            damaged.append(f"{batch}: {error}")
    if damaged:
        repair = "remove the folders named; the next night shows their photos to the network again"
        return Check("cache of regions", "bad", "; ".join(damaged), repair)
    return Check("cache of regions", "good", f"{n_rows} rows in {len(whole)} batches")


def _copies(run: Run, n_photos: int) -> Check:
    """All copies by their sizes, `n_photos` of them by their content."""
    name, folder = "copies of photos", copies_folder(run.root)
    try:
        table = read_columns(run, "images", ["image_id", "n_bytes"])
    except StoreError as error:
        return Check(name, "skipped", str(error))
    wanted = dict(zip(table["image_id"].to_pylist(), table["n_bytes"].to_pylist(), strict=True))
    there = list_copies(folder)
    damaged = {image_id for image_id, n_bytes in wanted.items() if there.get(copy_name(image_id)) != n_bytes}
    whole = sorted(wanted.keys() - damaged)
    hashed = random.Random(run.run_id).sample(whole, min(n_photos, len(whole)))
    damaged |= {image_id for image_id in hashed if _sha256(copy_uri(folder, image_id)) != image_id}
    if not damaged:
        return Check(name, "good", f"{len(wanted)} of the right size, {len(hashed)} of them read")
    listed = ", ".join(copy_name(image_id) for image_id in sorted(damaged)[:_LISTED])
    more = f" and {len(damaged) - _LISTED} more" if len(damaged) > _LISTED else ""
    repair = (
        f"remove those that are there from {folder}; the next night of a changed manifest copies them out of it again"
    )
    return Check(name, "bad", f"{len(damaged)} of {len(wanted)} are gone or damaged: {listed}{more}", repair)


def _sha256(uri: str) -> str | None:
    """Of a file's content; None where it cannot be read."""
    try:
        return content_id(files.read_bytes(uri))
    except OSError:
        return None


def _photos(run: Run, manifest: Manifest, n_photos: int) -> Check:
    name = "photos embedded again"
    if n_photos == 0:
        return Check(name, "skipped", "none were asked for")
    try:
        compared = compare_photos(run, manifest, n_photos)
    except (StoreError, WeightsError, ConfigError) as error:
        return Check(name, "skipped", str(error))
    if compared.n_photos == 0:
        return Check(name, "skipped", str(compared))
    if compared.is_alike:
        return Check(name, "good", str(compared))
    cache_uri = run.cache_uri(regions_cache(manifest.facts(EmbedFacts).model_id))
    repair = f"remove {cache_uri} and {run.uri} and {_START_AGAIN}: all photos go through the network again"
    return Check(name, "bad", str(compared), repair)
