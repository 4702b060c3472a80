"""What a search prints can be typed as it stands."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from prodseek.search.searchable import FoundObject
from prodseek.search.show import print_objects

OBJECT = FoundObject(1, "frame", None, None, (0.0, 0.0, 64.0, 48.0), None)


@pytest.mark.parametrize("root", ["out", "/data/our store", "s3://bucket/prodseek"])
def test_the_hint_names_photo_and_root(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_objects("it's a room.jpg", root, [OBJECT])
    _, hint = capsys.readouterr().out.split("choose one: ")
    program, *arguments = shlex.split(hint)
    assert Path(program).name == "prodseek"
    assert arguments == ["search", "--root", root, "--image", "it's a room.jpg", "--object", "1"]


def test_the_hint_names_a_program_that_the_shell_finds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("prodseek", "python"):
        (tmp_path / "bin" / name).touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "python"))
    for path, program in ((tmp_path / "bin", "prodseek"), (tmp_path, "bin/prodseek")):
        monkeypatch.setenv("PATH", str(path))
        print_objects("room.jpg", "out", [OBJECT])
        assert f"choose one: {program} search --root out" in capsys.readouterr().out
