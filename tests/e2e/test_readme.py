"""What the READMEs show is true: their examples run on a real night, their links lead somewhere, their tables are the code's."""

from __future__ import annotations

import csv
import os
import pydoc
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer

from prodseek.cli import app
from prodseek.config import Config, GatesConfig, load_config
from prodseek.photos.decode import RejectReason
from prodseek.report.wording import REASON_MEANINGS
from prodseek.runs.facts import STAGES
from prodseek.runs.store import Run, Store
from prodseek.runs.tables import TABLES, table_schema
from prodseek.vision.networks import NETWORKS

REPO = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "conf/README.md",
    "jobs/README.md",
    "jobs/CHANGELOG.md",
    "schemas/README.md",
    "tests/README.md",
)
TEXTS = {page: (REPO / page).read_text(encoding="utf-8") for page in PAGES}
ACTIVATE = ". .venv/bin/activate"
# Examples that no test runs, by the first command in them, and why. Their options, files and settings are checked all the same.
_MEASURES = "measures for half a minute; tests/e2e/test_plan.py runs the command"
_TESTS_ARE_RUNNING = "runs the tests, which are running; .ci/run does it in a new environment"
NOT_RUN = {
    "make cluster": _TESTS_ARE_RUNNING,
    "make test-fast": _TESTS_ARE_RUNNING,
    "make cluster CATALOG=/data/photos OUT=/data/prodseek": "needs the reader's own photos",
    "prodseek plan tests/data/sample/catalog.csv": _MEASURES,
    "prodseek plan tests/data/sample/catalog.csv --costs": _MEASURES,
    "make wheel env-archive": "needs a cluster; tests/standalone runs these commands on one",
    "prodseek run ingest --catalog s3://bucket/products.parquet --root s3://bucket/prodseek": (
        "needs a bucket; tests/spark/test_object_store.py and tests/e2e/test_commands.py run the commands on their own"
    ),
    "python tests/fuzz/run.py images --minutes 10": "takes ten minutes; tests/fuzz/test_fuzz.py runs some cases of each target",
    "python tests/bench/bench_duplicates.py": "takes minutes, and the reader's own labelled photos",
}


@dataclass(frozen=True)
class Example:
    """A fenced block of a page. number: which of the page's, from 1."""

    page: str
    number: int
    language: str
    code: str

    @property
    def why_not_run(self) -> str | None:
        return NOT_RUN.get(self.first_command)

    @property
    def first_command(self) -> str:
        return self.code.partition("\n")[0].partition("  #")[0].strip()

    def __str__(self) -> str:
        return f"{self.page}-{self.number}"


def examples() -> Iterator[Example]:
    for page, text in TEXTS.items():
        for number, (language, code) in enumerate(re.findall(r"^```(.*?)\n(.*?)^```$", text, re.M | re.S), start=1):
            yield Example(page, number, language, code)


EXAMPLES = tuple(examples())
RUN = [example for example in EXAMPLES if example.why_not_run is None]


def example_with(text: str, page: str, language: str = "python") -> str:
    """The code of the one example of a page that mentions `text`."""
    (found,) = (each for each in EXAMPLES if each.page == page and each.language == language and text in each.code)
    return found.code


@pytest.fixture(scope="module")
def clone(night: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which `make cluster` and `make test` were run: what is in the repository, .venv, and the night in out/."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("Makefile", "README.md", "conf", "jobs", "lib", "schemas", "setup.py", "tests"):
        (folder / name).symlink_to(REPO / name)
    (folder / ".venv").mkdir()
    for path in Path(sys.prefix).iterdir():
        if path.is_dir() or path.name == "pyvenv.cfg":
            (folder / ".venv" / path.name).symlink_to(path)
    for name in ("runtime", "weights", "test", "dev"):  # so make has nothing to install
        (folder / ".venv" / name).touch()
    shutil.copytree(night.root, folder / "out")
    return folder


def shell(command: str, clone: Path) -> subprocess.CompletedProcess[str]:
    # Without what a Spark session in this process has set.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
    program = ["bash", "-euo", "pipefail", "-c", command]
    return subprocess.run(program, cwd=clone, env=environment, capture_output=True, text=True, timeout=600)


def run_sh(example: Example, clone: Path, tmp_path: Path) -> None:
    done = shell(f"{ACTIVATE}\n{example.code}", clone)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def run_sql(example: Example, clone: Path, tmp_path: Path) -> None:
    """All of the page up to the example: a statement may need those before it."""
    before = [each for each in EXAMPLES if each.page == example.page and each.language == "sql"]
    connection = duckdb.connect()
    for each in before[: before.index(example) + 1]:
        answer = connection.execute(each.code)
    assert answer.fetchall() or not example.code.startswith("SELECT")


def run_python(example: Example, clone: Path, tmp_path: Path) -> None:
    exec(example.code, {})


def run_yaml(example: Example, clone: Path, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(example.code.replace("<64 hex digits>", "ab" * 32), encoding="utf-8")
    load_config("local", config_files=[tmp_path / "own.yaml"])


def run_promql(example: Example, clone: Path, tmp_path: Path) -> None:
    written = (REPO / "tests/unit/runner/test_prometheus.py").read_text(encoding="utf-8")
    names = re.findall(r"prodseek_(\w+)", example.code)
    assert names and all(name in written for name in names)


def look_at_text(example: Example, clone: Path, tmp_path: Path) -> None:
    assert not re.search(r"^(\$ |make |prodseek |python )", example.code, re.M), (
        "commands are `sh`, so that they are run"
    )


RUNNERS = {
    "sh": run_sh,
    "sql": run_sql,
    "python": run_python,
    "yaml": run_yaml,
    "promql": run_promql,
    "text": look_at_text,
}


@pytest.mark.parametrize("example", RUN, ids=str)
def test_an_example_runs(
    example: Example,
    clone: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "start_session" in example.code:
        request.getfixturevalue("spark")  # the session that there is, not one more
    monkeypatch.chdir(clone)
    assert example.language in RUNNERS, "no test runs this: name its language, or list it in NOT_RUN"
    RUNNERS[example.language](example, clone, tmp_path)


@pytest.mark.parametrize("example", [each for each in EXAMPLES if each.why_not_run], ids=str)
def test_an_example_that_is_not_run_is_typed_right(example: Example) -> None:
    assert example.language == "sh"
    for line in example.code.replace("\\\n", " ").splitlines():
        *within, outer = *re.findall(r"\$\((.*?)\)", line), re.sub(r"\$\(.*?\)", "", line)
        for command in (*within, outer):
            words = shlex.split(re.sub(r"(^|\s)#.*", "", command))
            while words and (words[0] == "export" or "=" in words[0]):
                words.pop(0)
            if words:
                check_command(*words)


def check_command(program: str, *arguments: str) -> None:
    """Fail where a program does not know an option or a setting, or a file is not there."""
    if program == "make":
        makefile = (REPO / "Makefile").read_text(encoding="utf-8")
        for argument in arguments:
            name, is_set, value = argument.partition("=")
            assert re.search(rf"^{name} *\?=" if is_set else rf"^{name}:.*##", makefile, re.M), argument
            if name == "ARGS" and arguments[0] == "cluster":
                parse("run", *shlex.split(value))
    elif program == "prodseek":
        parse(*arguments)
    elif program == "spark-submit":
        (script,) = (argument for argument in arguments if argument.startswith("jobs/"))
        assert (REPO / script).is_file()
        parse("run", Path(script).stem, *arguments[arguments.index(script) + 1 :])  # whose options are the same
    else:
        assert program == "python", f"nothing is known of the program {program}"
        written = (REPO / arguments[0]).read_text(encoding="utf-8")
        assert all(f'"{argument}"' in written for argument in arguments if argument.startswith("--"))


def parse(command: str, *arguments: str) -> None:
    context = typer.main.get_command(app).commands[command].make_context(command, list(arguments))  # type: ignore[attr-defined]
    load_config(settings=context.params.get("settings") or ())


def test_what_is_not_run_is_still_there() -> None:
    assert set(NOT_RUN) <= {example.first_command for example in EXAMPLES}


def test_a_reader_has_activated_the_environment_before_it_is_needed() -> None:
    for example in EXAMPLES:
        if example.language == "python" or re.search(r"^(prodseek|python|spark-submit) ", example.code, re.M):
            above = TEXTS[example.page].partition(example.code)[0]
            assert ACTIVATE in above + example.code, example


def test_a_mistyped_store_starts_no_night(clone: Path) -> None:
    done = shell("make search OUT=oust", clone)
    assert done.returncode != 0 and not (clone / "oust").exists()
    assert "there is no run in 'oust'" in done.stdout and "make cluster CATALOG=... OUT='oust'" in done.stdout


def test_the_readme_is_short() -> None:
    assert len(TEXTS["README.md"].encode()) <= 14_000


def headings(page: Path) -> set[str]:
    """What a link into a page may name, as GitHub makes it of headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    found = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        linked = (REPO / page).parent / name if name else REPO / page
        assert linked.exists(), target
        assert not heading or heading in headings(linked), target


@pytest.mark.parametrize("page", PAGES)
def test_files_that_it_names_exist(page: str) -> None:
    """Paths in running text and in examples start from the repository's root."""
    for path in re.findall(r"(?<![\w./-])(?:\.ci|conf|jobs|lib|schemas|tests)/[\w./-]*", TEXTS[page]):
        assert (REPO / path.rstrip(".")).exists(), path


@pytest.mark.parametrize("page", PAGES)
def test_settings_that_it_names_exist(page: str) -> None:
    """`section.key`, where no table of that name has such a column."""
    sections = {name: field.annotation for name, field in Config.model_fields.items()}
    columns = {f"{table}.{column}" for table in TABLES for column in table_schema(table).column_names}
    for section, key in re.findall(r"`(?:--set )?'?([a-z]+)\.(\w+)", TEXTS[page]):
        if section in sections and section != "spark" and key != "html" and f"{section}.{key}" not in columns:
            assert key in sections[section].model_fields, f"{section}.{key}"  # type: ignore[union-attr]


def test_modules_that_the_changelog_names_exist() -> None:
    moved = re.findall(r"^\| `prodseek\S+` \| `(prodseek\S+)` \|$", TEXTS["jobs/CHANGELOG.md"], re.M)
    assert moved and all(pydoc.locate(name) for name in moved)


def ask(clone: Path, about: str) -> list[tuple[Any, ...]]:
    """The answer to the one SQL example that mentions `about`."""
    connection = duckdb.connect()
    for text in ("SET VARIABLE", about):
        answer = connection.execute(example_with(text, "schemas/README.md", "sql"))
    return answer.fetchall()


@pytest.fixture
def in_clone(clone: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(clone)
    return clone


@pytest.fixture(scope="module")
def sold(sample_folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    """The sample's catalogue: product and photo -> its row."""
    with (sample_folder / "catalog.csv").open(encoding="utf-8", newline="") as handle:
        return {(row["product_id"], row["uri"]): row for row in csv.DictReader(handle)}


@pytest.fixture(scope="module")
def grouped(night: Run, tables) -> list[tuple[str, dict[str, Any]]]:  # type: ignore[no-untyped-def]
    """Each photo's group of look-alikes, as a row of the summary: (product_id, uri) and the group; none twice."""
    groups = {row["group_id"]: row for row in tables(night, "curation_summary").to_pylist()}
    in_group = {row["detection_id"]: row["group_id"] for row in tables(night, "curation_groups").to_pylist()}
    regions = tables(night, "detections").select(["detection_id", "image_id"]).to_pylist()
    shown = [(row["image_id"], groups[group]) for row in regions if (group := in_group.get(row["detection_id"]))]
    photos = defaultdict(list)
    for row in tables(night, "images").to_pylist():
        photos[row["image_id"]].append((row["product_id"], row["uri"]))
    return [(photo, group) for image_id, group in shown for photo in photos[image_id]]


def test_copies_per_supplier(night: Run, in_clone: Path, tables, sold) -> None:  # type: ignore[no-untyped-def]
    copies = defaultdict(list)
    for row in tables(night, "duplicate_groups").to_pylist():
        if not row["is_representative"]:
            copies[sold[row["product_id"], row["uri"]]["supplier"]].append(row["product_id"])
    counted = [(supplier, len(ids), len(set(ids))) for supplier, ids in copies.items()]
    assert ask(in_clone, "supplier") == sorted(counted, key=lambda row: (-row[1], row[0]))
    assert {"nordhus", "casabella", "lagerhaus"} <= set(copies)


def test_groups_without_a_best_seller(night: Run, in_clone: Path, tables, sold, grouped) -> None:  # type: ignore[no-untyped-def]
    with_one = {group["group_id"] for photo, group in grouped if sold[photo]["best_seller"] == "yes"}
    fine = [row for row in tables(night, "curation_summary").to_pylist() if row["level"] == "fine"]
    without = [(row["title"], row["n_products"]) for row in fine if row["group_id"] not in with_one]
    assert ask(in_clone, "best_seller") == sorted(without, key=lambda row: (-row[1], row[0]))
    assert 0 < len(without) < len(fine)


def test_colours_per_category(in_clone: Path, sold, grouped) -> None:  # type: ignore[no-untyped-def]
    counts = Counter((sold[photo]["category"], group["dominant_colour"]) for photo, group in grouped)
    answer = ask(in_clone, "dominant_colour")
    assert {row[:2]: row[2] for row in answer} == counts and len(answer) == len(counts) > 10
    of_category = Counter(sold[photo]["category"] for photo, _ in grouped)
    assert all(share == pytest.approx(n_photos / of_category[category]) for category, _, n_photos, share in answer)


def run_code(text: str, page: str) -> dict[str, Any]:
    """What the one Python example of a page that mentions `text` leaves."""
    names: dict[str, Any] = {}
    exec(example_with(text, page), names)
    return names


def test_the_largest_groups(night: Run, in_clone: Path, tables) -> None:  # type: ignore[no-untyped-def]
    fine = [row for row in tables(night, "curation_summary").to_pylist() if row["level"] == "fine"]
    largest = sorted(fine, key=lambda row: (-row["n_products"], row["title"]))[:10]
    answer = run_code("duckdb", "README.md")["answer"].fetchall()
    assert [row[:2] for row in answer] == [(row["title"], row["n_products"]) for row in largest]


def test_what_changed_since_yesterday(
    night: Run, tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # type: ignore[no-untyped-def]
    images = tables(night, "images")
    rows = images.to_pylist()
    gone, replaced = ({**rows[0], "uri": "images/of yesterday.jpg"}, {**rows[1], "image_id": "0" * 64})
    yesterday = [gone, rows[0], replaced, *rows[2:-3]]  # three are new
    store = Store.at(str(tmp_path / "out"))
    monkeypatch.chdir(tmp_path)
    for run_id, content in (("20260101T010000Z-00000000", yesterday), ("20260102T010000Z-00000000", rows)):
        run = store.run(run_id)
        Path(run.table_uri("images")).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(content, images.schema), f"{run.table_uri('images')}/part-0.parquet")
        run.write_json("MANIFEST.json", {"run_id": run_id})
    store.run("20260103T010000Z-00000000").write_json("stages/ingest.json", {})  # one that has not finished
    changed = run_code("pandas", "schemas/README.md")["changed"]
    assert {(row.product_id, row.uri, str(row.change)) for row in changed.itertuples()} == {
        (gone["product_id"], gone["uri"], "left_only"),
        (replaced["product_id"], replaced["uri"], "both"),
        *((row["product_id"], row["uri"], "right_only") for row in rows[-3:]),
    }
    assert re.search(r"new +3\n(?s:.)*Name: count", capsys.readouterr().out)


def test_after_a_first_night_every_photo_is_new(night: Run, in_clone: Path, tables) -> None:  # type: ignore[no-untyped-def]
    changed = run_code("pandas", "schemas/README.md")["changed"]
    assert len(changed) == tables(night, "images").num_rows and set(changed.change) == {"right_only"}


def test_products_that_look_most_alike(spark, in_clone: Path) -> None:  # type: ignore[no-untyped-def]
    answer = run_code("start_session", "schemas/README.md")["answer"].collect()
    assert len(answer) == 10 and answer[0]["cosine_similarity"] > 0.5


def test_index_example(in_clone: Path) -> None:
    names = run_code("open_index", "jobs/README.md")
    assert names["ids"][:, 0].tolist() == names["some"]["detection_id"].to_pylist()
    assert names["ids"].shape == names["cosine"].shape == (5, 10)


def test_search_example(in_clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = run_code("SearchableRun.open", "jobs/README.md")
    assert names["hits"][0].product_id == "sofa-retro" and len(names["more"]) == 20
    assert "suitcase" in capsys.readouterr().out


def test_every_reason_and_stage_is_explained() -> None:
    for reason in RejectReason:
        assert f"| `{reason}` |" in TEXTS["schemas/README.md"]
        assert REASON_MEANINGS[reason]
    for stage in STAGES:
        assert f"| `{stage}` |" in TEXTS["jobs/README.md"]


def test_every_gate_and_network_is_explained() -> None:
    for gate in GatesConfig.model_fields:
        assert f"`gates.{gate}`" in TEXTS["conf/README.md"]
    for network in NETWORKS:
        assert f"`{network}`" in TEXTS["jobs/README.md"]


def test_closed_lists_are_the_schemas() -> None:
    allowed = {c.name: set(c.allowed) for c in table_schema("rejects").columns}
    assert allowed["reason"] == set(RejectReason)
    verdicts = {c.name: c.allowed for c in table_schema("near_duplicates").columns}["verdict"]
    assert all(f"`{verdict}`" in TEXTS["jobs/README.md"] for verdict in verdicts)
