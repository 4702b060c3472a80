"""How long a manifest of many rows takes until it is known which are candidates for `images`, and which are rejects.

No photo is read. Printed are the seconds by the clock and the most memory that the driver's Python had, for CSV and for Parquet.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from prodseek.config import load_config
from prodseek.spark.catalogue.read_rows import checked
from prodseek.spark.catalogue.rows import catalogue_rows, open_catalogue
from prodseek.spark.session import start_session

_ROWS_AT_A_TIME = 100_000


def main() -> None:
    """Write both manifests, read both, print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--cores", type=int, default=2)
    asked = parser.parse_args()
    spark = start_session(load_config(settings=[f"spark.master=local[{asked.cores}]"]).spark)
    spark.range(1).count()  # the first query of a session takes longer than the others
    with tempfile.TemporaryDirectory(prefix="prodseek-bench-") as folder:
        for ending, write in (("csv", _write_csv), ("parquet", _write_parquet)):
            path = Path(folder) / f"products.{ending}"
            write(path, asked.rows)
            config = load_config(catalog=str(path)).catalog
            before_bytes = _peak_bytes()
            started = time.monotonic()
            rows = checked(catalogue_rows(spark, open_catalogue(config), config).rows)
            counts = {row["reason"]: row["count"] for row in rows.groupBy("reason").count().collect()}
            seconds = time.monotonic() - started
            print(
                f"{ending:<8} {path.stat().st_size / 2**20:6.1f} MiB  {seconds:6.1f} s  candidates {counts.pop(None)}, "
                f"rejects {counts}; the driver grew by {(_peak_bytes() - before_bytes) / 2**20:.1f} MiB"
            )
    spark.stop()


def _columns(numbers: range) -> dict[str, list[str]]:
    """One row in a thousand names no photo, one in a thousand says what an earlier one says."""
    return {
        "product_id": [f"p{n - n % 2}" for n in numbers],
        "uri": ["" if n % 1000 == 7 else f"photos/{n - 1 if n % 1000 == 1 else n}.jpg" for n in numbers],
        "title": [f'A chair, "number {n}"' for n in numbers],
        "category": [f"chairs {n % 40}" for n in numbers],
        "price": [f"{n % 900}.50" for n in numbers],
    }


def _write_csv(path: Path, n_rows: int) -> None:
    with path.open("w", encoding="utf-8") as handle:
        handle.write("product_id,uri,title,category,price\n")
        for start in range(0, n_rows, _ROWS_AT_A_TIME):
            columns = _columns(range(start, min(n_rows, start + _ROWS_AT_A_TIME)))
            for product, uri, title, category, price in zip(*columns.values(), strict=True):
                quoted = title.replace('"', '""')
                handle.write(f'{product},{uri},"{quoted}",{category},{price}\n')


def _write_parquet(path: Path, n_rows: int) -> None:
    schema = pa.schema([(name, pa.string()) for name in _columns(range(0))])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, n_rows, _ROWS_AT_A_TIME):
            writer.write_table(pa.table(_columns(range(start, min(n_rows, start + _ROWS_AT_A_TIME))), schema=schema))


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
