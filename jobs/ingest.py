"""Stage ingest: every row of the catalogue becomes a row of `images` or a row of `rejects`."""

from __future__ import annotations

from prodseek.catalogue.folder import passed_over_in_words
from prodseek.catalogue.near_names import found_otherwise_in_words
from prodseek.catalogue.photo_rows import without_photo_in_words
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.photos.decode import decoder
from prodseek.runs.facts import IngestFacts
from prodseek.runs.store import WORK, Summary
from prodseek.spark.catalogue.ingested import (
    refuse_empty_catalogue,
    refuse_failing_storage,
    write_images_and_rejects,
    write_ingested,
)
from prodseek.spark.catalogue.last_night import count_changes, decoded_and_not, last_images
from prodseek.spark.catalogue.read_rows import RowReader
from prodseek.spark.catalogue.rows import catalogue_rows, open_catalogue
from prodseek.spark.night import Night
from prodseek.storage import files

# Rows before decoding: those that cannot be used, and those whose photo has its content's hash and nothing else yet.
_HASHED = f"{WORK}/hashed"


def run(night: Night) -> Summary[IngestFacts]:
    """Read, check and hash every photo of the catalogue; decode those whose content the last run did not have."""
    source = open_catalogue(night.config.catalog)
    rows, passed_over, tallies = catalogue_rows(night.spark, source, night.config.catalog)
    n_rows = rows.count()
    tallies.refuse_damage()
    n_without_photo = tallies.n_without_photo.value
    photos = PhotoSource.of(night.config, source.base_uri, night.run.root)
    reader = RowReader.of(night, photos)
    checked = reader.checked(night, rows)
    last, why_decode_all = last_images(night)
    if last is None or why_decode_all:
        write_ingested(night, reader.decoded(checked, n_rows))
    else:
        hashed_uri = files.spark_uri(night.run.path(_HASHED))
        reader.hashed(checked, n_rows).write.mode("overwrite").parquet(hashed_uri)
        hashed = night.spark.read.parquet(hashed_uri)
        done, todo = decoded_and_not(night, hashed, last, night.config.images.limits)
        write_ingested(night, reader.decoded(todo, todo.count()).unionByName(done))
    counts = write_images_and_rejects(night)
    refuse_empty_catalogue(night, source.uri, counts)
    refuse_failing_storage(night, counts)
    facts = IngestFacts(
        input_rows=n_rows,
        catalog=source.uri,
        base_uri=source.base_uri,
        decoder=decoder(),
        copied_photos=reader.n_copied.value,
        decoded_photos=reader.n_decoded.value,
        retried_reads=reader.n_retried.value,
        found_otherwise=dict(sorted(reader.spellings.value.items())),
        passed_over={why.value: n for why, n in sorted(passed_over.items())},
        rows_without_photo=n_without_photo,
        compared_with=None if last is None else last.run_id,
        changes={} if last is None else count_changes(night, last),
        settings=night.config.catalog.model_dump(mode="json"),
    )
    return Summary(facts, counts, _lines(facts, counts, photos, why_decode_all))


def _lines(facts: IngestFacts, counts: dict[str, int], photos: PhotoSource, why_decode_all: str) -> tuple[str, ...]:
    """What was done, for a person."""
    decoded = (
        f"every photo was decoded: {why_decode_all}" if why_decode_all else f"{facts.decoded_photos} photos decoded"
    )
    lines = [
        f"{facts.input_rows} rows in, {counts['images']} images, {counts['rejects']} rejected",
        decoded,
    ]
    if photos.copies is not None:
        lines.append(f"{facts.copied_photos} photos copied out of the manifest to {photos.copies}")
    if facts.found_otherwise:
        lines.append(found_otherwise_in_words(facts.found_otherwise))
    if facts.passed_over:
        lines.append(f"passed over in the folder: {passed_over_in_words(facts.passed_over)}")
    if facts.rows_without_photo:
        lines.append(without_photo_in_words(facts.rows_without_photo))
    if facts.compared_with is not None:
        lines.append(
            f"since run {facts.compared_with}: " + ", ".join(f"{n} {change}" for change, n in facts.changes.items())
        )
    if facts.retried_reads:
        lines.append(f"the storage failed {facts.retried_reads} times and was asked again")
    return tuple(lines)


if __name__ == "__main__":
    from prodseek.runner.start import main

    main("ingest")
