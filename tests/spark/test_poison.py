"""Photos that kill or hold up the process that decodes them: rejected, and the rest of their batch is as it would be without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from prodseek.jobs import embed, ingest
from prodseek.runs.store import Store
from prodseek.spark.night import Night

RUN_ID = "20260101T000000Z-00000000"
HOSTILE_DECODER = Path(__file__).parents[1] / "data" / "hostile_decoder.py"


@pytest.mark.slow
def test_poison_is_rejected_and_its_batch_survives(
    spark: SparkSession, tmp_path: Path, tiny_weights: Path, make_jpeg, make_config, tables
) -> None:  # type: ignore[no-untyped-def]
    for number in range(8):
        (tmp_path / f"{number}.jpg").write_bytes(make_jpeg((500 + number, 400)))
    (tmp_path / "hangs.jpg").write_bytes(b"POISON hangs\n")
    (tmp_path / "crashes later.jpg").write_bytes(b"POISON crashes when reduced\n" + make_jpeg((2000, 1500)))
    rows = [f"{number},{number}.jpg" for number in range(8)]
    poison = ["a,hangs.jpg", "b,crashes later.jpg"]
    for name, content in (("clean", rows), ("poisoned", [*poison, *rows])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["product_id,uri", *content]) + "\n")
    (tmp_path / "path").mkdir()
    hurry = "\nfrom prodseek.jobs import attempts\nattempts.MAX_DECODE_SECONDS = 3.0\n"
    (tmp_path / "path" / "sitecustomize.py").write_text(HOSTILE_DECODER.read_text() + hurry)
    script = Path(__file__).parents[1] / "helpers" / "ingest_and_embed.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "poisoned.csv"), str(tmp_path / "root"), RUN_ID],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "path")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    poisoned, clean = (Store.at(str(tmp_path / name)).run(RUN_ID) for name in ("root", "clean root"))
    assert sorted(tuple(row.values()) for row in tables(poisoned, "rejects").to_pylist()) == [
        ("crashes later.jpg", "b", "embed", "crashed", "the decoder was ended by SIGSEGV"),
        ("hangs.jpg", "a", "ingest", "crashed", "the decoder did not end in 3 s"),
    ]
    config = make_config(tmp_path / "clean.csv", clean.root)
    for stage in (ingest, embed):
        clean.write_summary(stage.run(Night.of(spark, config, clean)))
    for name, key in (("images", "uri"), ("detections", "detection_id")):
        assert tables(poisoned, name).sort_by(key).equals(tables(clean, name).sort_by(key))
    assert tables(clean, "images").num_rows == 8
