"""Photos a second that ingest takes from an S3 server whose answers take a while, some of them being 503, 500 or none."""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from faulty_proxy import FaultyProxy
from moto.server import ThreadedMotoServer
from PIL import Image
from rich.console import Console
from rich.table import Table

DELAY_SECONDS = 0.03
BUCKET = "catalogue"


def main(n_objects: int, threads: list[int], every: list[int | None], stall_at: int | None, as_json: bool) -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    put_photos(n_objects)
    proxy = FaultyProxy(port, delay_seconds=DELAY_SECONDS)
    os.environ["AWS_ENDPOINT_URL"] = proxy.url  # which Spark's workers inherit
    found = measure(proxy, threads, every, stall_at)
    proxy.close()
    server.stop()
    if as_json:
        print(json.dumps(found))
        return
    table = Table(
        "threads a task",
        "faults",
        "photos/s",
        "requests",
        "5xx",
        "stalled",
        "our retries",
        "images",
        "rejects",
        title=f"ingest of {n_objects} photos on S3, two tasks at a time, {1000 * DELAY_SECONDS:.0f} ms a request",
        caption="5xx: answered 500 or 503. stalled: never answered. "
        "The S3 client asks again by itself as far as its quota reaches, and we do when it has given up.",
    )
    for one in found:
        faults = f"every {one['every']}th" if one["every"] else "none"
        table.add_row(str(one["threads"]), faults, f"{one['photos_per_second']:.0f}", *(
            str(one[name]) for name in ("requests", "faults", "stalls", "retries", "images", "rejects")
        ))  # fmt: skip
    Console().print(table)


def put_photos(n_objects: int) -> None:
    """Distinct small photos under photos/, and a few more under few/ to warm up with."""
    import boto3

    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)

    def put(number: int) -> None:
        pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).resize((64, 48)).save(buffer, "JPEG")
        folder = "photos" if number < n_objects else "few"
        client.put_object(Bucket=BUCKET, Key=f"{folder}/{number:05}.jpg", Body=buffer.getvalue())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(n_objects + 20)))


def measure(
    proxy: FaultyProxy, threads: list[int], every: list[int | None], stall_at: int | None
) -> list[dict[str, Any]]:
    """Ingest all photos with each number of threads and each share of faults."""
    from prodseek.config import load_config
    from prodseek.jobs import ingest
    from prodseek.runs.store import Store
    from prodseek.spark.night import Night
    from prodseek.spark.session import start_session

    spark = start_session(load_config().spark.model_copy(update={"master": "local[2]"}))
    found = []
    with tempfile.TemporaryDirectory() as folder:

        def run(source: str, n_threads: int, number: int) -> tuple[Any, float]:
            settings = ["ingest.rows_per_partition=128", f"ingest.read_threads={n_threads}"]
            config = load_config(settings=settings, catalog=f"s3://{BUCKET}/{source}", root=folder)
            root = Store.at(str(Path(folder) / str(number)))
            started = time.monotonic()
            summary = ingest.run(Night.of(spark, config, root.run("20260101T000000Z-00000000")))
            return summary, time.monotonic() - started

        run("few", 1, 0)
        cases = [(n_threads, fault) for fault in every for n_threads in threads]
        for number, (n_threads, fault) in enumerate(cases, start=1):
            proxy.set_faults(fault, stall_at if fault else None)
            summary, seconds = run("photos", n_threads, number)
            found.append(
                {
                    "threads": n_threads,
                    "every": fault,
                    "photos_per_second": summary.facts.input_rows / seconds,
                    "requests": proxy.n_requests,
                    "faults": proxy.n_faults,
                    "stalls": proxy.n_stalls,
                    "rows": summary.facts.input_rows,
                    "retries": summary.facts.retried_reads,
                    **summary.rows,
                }
            )
    spark.stop()
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=5000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--every", type=int, nargs="+", default=[0, 20], help="each so-many-th request fails; 0: none")
    parser.add_argument("--stall-at", type=int, default=1000, help="this request is never answered, where some fail")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    main(given.objects, given.threads, [n or None for n in given.every], given.stall_at or None, given.json)
