"""Full, read-only and unreadable disks: one clear message, nothing half-written in sight, and the same command goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import prodseek
from nights import TINY_SETTINGS, tables_of

from prodseek.config import load_config
from prodseek.errors import MachineError, StoreError, explain_errors
from prodseek.runner.night import run_night
from prodseek.runner.open_run import open_run
from prodseek.runner.progress import Console
from prodseek.runner.stages import run_stage
from prodseek.runs.facts import STAGES
from prodseek.runs.lock import Holder, hold_root
from prodseek.runs.store import LATEST, MANIFEST, Run, Store
from prodseek.spark.failures import explaining_failures
from prodseek.spark.night import Night


class Disk:
    """A small disk of the test's own: a tmpfs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, leave_bytes: int = 0) -> None:
        """Write until nothing fits, then take away so much of that."""
        with self._ballast.open("wb", buffering=0) as handle:
            try:
                while True:
                    handle.write(bytes(4096))
            except OSError:
                handle.truncate(max(0, handle.tell() - leave_bytes))

    def free(self) -> None:
        self._ballast.unlink()

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.path)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a disk of the test's own")
    yield Disk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def settings(*more: str) -> list[str]:
    return [part for setting in (*TINY_SETTINGS, "spark.master=local[2,4]", *more) for part in ("--set", setting)]


@pytest.mark.slow
def test_each_stage_on_a_full_disk(
    spark,  # type: ignore[no-untyped-def]
    undisturbed_tiny_night: Run,
    tiny_catalogue: Path,
    disk: Disk,
) -> None:
    """Fails with a message, and when there is room goes on as if nothing had been."""
    root = disk.path / "root"
    config = load_config("local", settings=TINY_SETTINGS, catalog=str(tiny_catalogue), root=str(root))
    store, opened = Store.at(str(root)), open_run(spark, config)
    night = Night.of(spark, config, opened.run)
    (root / "runs").mkdir(parents=True)
    for stage in STAGES:
        # Full to the last byte; or, for those that write more than that, so that their first files still fit.
        disk.fill(leave_bytes=8192 if stage in ("embed", "index", "duplicates") else 0)
        with (
            pytest.raises(MachineError, match=f"no room left: the root {root} has 0.*Make room, then start the same"),
            explaining_failures(store.root),
        ):
            run_stage(night, stage, Console())
        assert opened.run.summary(stage) is None
        disk.free()
        run_stage(night, stage, Console())
    disk.fill()
    with pytest.raises(MachineError, match="no room left"), explaining_failures(store.root):
        run_night(night, opened, Console())
    assert not (root / LATEST).exists() and not Path(opened.run.path(MANIFEST)).exists()
    disk.free()
    run_night(night, opened, Console())
    assert tables_of(root) == tables_of(Path(undisturbed_tiny_night.root))


def test_a_full_or_read_only_root_is_refused_at_the_start(tiny_catalogue: Path, disk: Disk) -> None:
    run = ("run", "ingest", "--catalog", tiny_catalogue, "--root", disk.path / "root", *settings())
    disk.fill()
    full = prodseek(*run)
    assert full.returncode == 1 and "No space left on device" in full.stderr and "Traceback" not in full.stderr
    disk.free()
    disk.remount("ro")
    read_only = prodseek(*run)
    assert read_only.returncode == 1 and "cannot be written to" in read_only.stderr
    assert "Read-only file system" in read_only.stderr and "Traceback" not in read_only.stderr
    disk.remount("rw")


@pytest.mark.slow
def test_no_room_for_shuffles(tiny_catalogue: Path, tmp_path: Path, disk: Disk) -> None:
    """With none at all Spark does not even start; with little a stage fails. The same command goes on when there is room."""
    run = (
        *("run", "ingest", "--catalog", tiny_catalogue, "--root", tmp_path / "root"),
        *settings(f"spark.conf={{spark.local.dir: {disk.path}}}"),
    )
    for leave_bytes in (0, 40960):
        disk.fill(leave_bytes)
        done = prodseek(*run)
        assert done.returncode == 1, done.stderr[-3000:]
        assert "Traceback" not in done.stderr and "there is no room left" in done.stderr, done.stderr[-3000:]
        assert f"Spark's folder for temporary files {disk.path} has 0." in done.stderr
        disk.free()
    done = prodseek(*run)
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_root_that_may_not_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / LATEST).write_text("20260101T000000Z-00000000\n")
    root.chmod(0)
    as_nobody = os.geteuid() == 0
    Holder.this_process()  # loads what nobody may not read
    if as_nobody:
        os.seteuid(65534)
    try:
        with pytest.raises(StoreError, match=r"cannot be written to: .*Permission denied"), hold_root(str(root)):
            raise AssertionError("held")
        with pytest.raises(SystemExit, match="1"):
            explain_errors(Store.at(str(root)).latest)
        said = capsys.readouterr().err
        assert "prodseek: storage fails: " in said and f"'{root}" in said and "Permission denied" in said
    finally:
        if as_nobody:
            os.seteuid(0)
        root.chmod(0o700)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(5, "Input/output error", "/mnt/root/runs"), "storage fails: .*Input/output error: '/mnt/root/runs'"),
        (PermissionError(13, "Permission denied", "/mnt/root"), "storage fails: .*Permission denied: '/mnt/root'"),
        (OSError(122, "Disk quota exceeded"), "there is no room left"),
        (ConnectionRefusedError(111, "Connection refused"), "Spark's Java process on this machine ended"),
    ],
)
def test_what_the_system_says_is_explained(error: OSError, told: str, tmp_path: Path) -> None:
    with (
        pytest.raises(MachineError, match=f"{told}.* then start the same command again"),
        explaining_failures(str(tmp_path)),
    ):
        raise error


def test_other_errors_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), explaining_failures(str(tmp_path)):
        (tmp_path / "nothing").read_text()
