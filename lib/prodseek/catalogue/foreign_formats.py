"""What is no table that can be read, and how a person makes one of it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prodseek.catalogue.dialect import DELIMITERS, Compression, Dialect
from prodseek.catalogue.encodings import UTF_8
from prodseek.errors import CatalogueError
from prodseek.storage import files

_AS_CSV = "save it as `CSV UTF-8` (Excel: File, Save As; Google Sheets and LibreOffice: download or save as CSV)"
# What begins so is no text, whatever its name is. {path} and {csv}: of the file, and of one beside it.
_NO_TEXTS = {
    b"PK\x03\x04": "is a ZIP archive; unpack it: unzip {path}",
    b"\xd0\xcf\x11\xe0": f"is an Excel workbook; {_AS_CSV}",
    b"PAR1": "is a Parquet file; give it the ending .parquet: mv {path} {parquet}",
    b"%PDF": "is a PDF document; export the table as CSV",
    b"\xfd7zXZ": "is compressed by xz; unpack it: xz -dc < {path} > {csv}",
    b"7z\xbc\xaf": "is a 7z archive; unpack it: 7z x {path}",
    b"Rar!": "is a RAR archive; unpack it: unrar x {path}",
    b"ARROW1": "is an Arrow (Feather) file; write the table as Parquet, such as with pandas' to_parquet",
    b"ORC": "is an ORC file; write the table as Parquet",
    b"Obj\x01": "is an Avro file; write the table as Parquet",
    b"SQLite format 3": "is a SQLite database; export the table: sqlite3 -header -csv {path} 'SELECT * FROM products' > {csv}",
}
# Names of files that only workbooks have in them.
_OF_WORKBOOKS = (b"xl/", b"[Content_Types].xml", b"application/vnd.oasis.opendocument.spreadsheet")
_PAGE = re.compile(r"<(!doctype\s+html|html)\b", re.IGNORECASE)
_XML = re.compile(r"<\?xml\b|<(rss|feed|channel|products|items|yml_catalog)\b[^>\n]*>", re.IGNORECASE)
_SQL = re.compile(r"(--|/\*)[^\n]*\b(dump|sql)\b|(insert\s+into|create\s+table|drop\s+table)\b", re.IGNORECASE)
_UNPACK: Mapping[Compression, str] = {"gzip": "gzip -dc", "zstd": "zstd -dc", "bz2": "bzip2 -dc"}
_JQ = "jq -c"
_ROWS_OF_ARRAY = "import json, sys; [print(json.dumps(row)) for row in json.load(sys.stdin.buffer)%s]"
_ROWS_OF_LINES = "import json, sys; [print(json.dumps(row)) for line in sys.stdin.buffer for row in json.loads(line)]"
_ROWS_OF_COLUMNS = (
    "import json, sys; t = json.load(sys.stdin.buffer); "
    "[print(json.dumps({name: column[key] for name, column in t.items()})) for key in next(iter(t.values()))]"
)
_ROWS_OF_SPLIT = (
    "import json, sys; t = json.load(sys.stdin.buffer); "
    '[print(json.dumps(dict(zip(t["columns"], row)))) for row in t["data"]]'
)
_CURLY = "\u201c\u201d\u201e\u201f"
# {encoding}: of the text, by Python's name.
_IN_AND_OUT = (
    'sys.stdin.reconfigure(encoding="{encoding}", newline=""); sys.stdout.reconfigure(encoding="utf-8", newline=""); '
)
_STRAIGHT_QUOTES = (
    f"import sys; {_IN_AND_OUT}"
    "sys.stdout.write(sys.stdin.read().translate(dict.fromkeys(range(0x201c, 0x2020), chr(34))))"
)
_CELLS_OF_ROWS = (
    f"import csv, sys; csv.field_size_limit(sys.maxsize); {_IN_AND_OUT}"
    "[print(row[0]) for row in csv.reader(sys.stdin) if row]"
)
_TABS_OF_BLANKS = (
    f"import re, sys; {_IN_AND_OUT}lines = [line for line in sys.stdin.read().splitlines() if line.strip()]; "
    'at = [found.start() for found in re.finditer(r"\\S+( \\S+)*", lines[0])]; '
    '[print("\\t".join(line[a:b].strip() for a, b in zip(at, [*at[1:], None]))) for line in lines]'
)
_CSV_OF_LINES = "import csv, json, sys; csv.writer(sys.stdout).writerows(map(json.loads, sys.stdin.buffer))"


def refuse_no_text(head: bytes, uri: str) -> None:
    """Raise CatalogueError for a file whose first bytes are those of another format. head: without compression."""
    for magic, what in _NO_TEXTS.items():
        if head.startswith(magic):
            is_workbook = magic.startswith(b"PK") and any(name in head for name in _OF_WORKBOOKS)
            told = f"is a workbook, whatever its ending is; {_AS_CSV}" if is_workbook else what
            raise CatalogueError(
                told.format(path=_path(uri), csv=_beside(uri, ".csv"), parquet=_beside(uri, ".parquet"))
            )


def refuse_other_text(text: str) -> None:
    """Raise CatalogueError for the text of a page, of XML or of a database's dump. text: the file's beginning."""
    begin = text.lstrip("\ufeff \t\r\n")
    if _PAGE.match(begin):
        raise CatalogueError(
            "is a web page, most often the message of a server that did not send the export; open it in a browser, and "
            "download the export again"
        )
    if _XML.match(begin):
        raise CatalogueError(
            "is XML; export the products as CSV, TSV or JSON lines. Google Merchant Center, Meta and most shops write the same "
            "feed as text with tabs; most plugins that make feeds have a setting for the format"
        )
    if _SQL.match(begin):
        raise CatalogueError(
            "is a dump of a database; export the table: mysql --batch -e 'SELECT ... FROM products' shop > products.tsv, or "
            "psql shop -c '\\copy products to products.csv csv header'"
        )


def refuse_arrays(text: str, uri: str, compression: Sequence[Compression]) -> None:
    """Raise CatalogueError for JSON that begins with an array, unless each line of it is an object. text: its beginning."""
    lines = [line for line in text.lstrip("\ufeff").splitlines() if line.strip()]
    if not lines or not lines[0].lstrip().startswith("["):
        return
    opened = lines[0].strip().removeprefix("[").strip() or (lines[1].strip() if len(lines) > 1 else "")
    if isinstance(_parsed(opened.rstrip(",")), dict) and len(lines) > 1:
        return
    first = _parsed(lines[0])
    if isinstance(first, list) and first and not isinstance(first[0], dict):
        raise CatalogueError(
            f"each of its lines is a JSON array, not an object with names; make a CSV of it: "
            f"{_command(_python(_CSV_OF_LINES), uri, '.csv', compression)}"
        )
    if isinstance(first, list) and len(lines) > 1:
        raise CatalogueError(
            f"each of its lines is a JSON array, not an object; convert it: "
            f"{_command(_python(_ROWS_OF_LINES), uri, '.jsonl', compression)}"
        )
    raise CatalogueError(
        f"it is one JSON array, not an object a line; convert it: "
        f"{_command(_python(_ROWS_OF_ARRAY % ''), uri, '.jsonl', compression)}"
    )


def refuse_header(
    header: Sequence[str], text: str, uri: str, dialect: Dialect, n_known: Callable[[Sequence[str]], int]
) -> None:
    """Raise CatalogueError for a header that shows its names only once the text is written otherwise. text: its beginning."""

    encoding = "utf-8-sig" if dialect.encoding == UTF_8 else dialect.encoding

    def command(code: str, ending: str = ".csv") -> str:
        return _command(_python(code.replace("{encoding}", encoding)), uri, ending, dialect.compression)

    if not header or n_known(header):
        return
    names = [name.strip() for name in header]
    if all(len(name) > 2 and name[0] in _CURLY and name[-1] in _CURLY for name in names):
        raise CatalogueError(
            f"its values stand between curly quotes, as in {names[0]}; write straight ones: {command(_STRAIGHT_QUOTES)}"
        )
    if (
        len(names) == 1
        and text.lstrip("\ufeff \r\n").startswith('"')
        and any(n_known(names[0].split(d)) for d in DELIMITERS)
    ):
        raise CatalogueError(
            f"each of its rows stands between quotes as a whole; unpack them: {command(_CELLS_OF_ROWS)}"
        )
    if len(names) == 1 and n_known(re.split(" {2,}", names[0])):
        raise CatalogueError(
            f"its columns are set apart by blanks; put tabs between them: {command(_TABS_OF_BLANKS, '.tsv')}"
        )


def refuse_columns(rows: Sequence[Mapping[str, Any]], uri: str, compression: Sequence[Compression]) -> None:
    """Raise CatalogueError for the only object of a file that holds a table by its columns, as pandas writes it."""
    if len(rows) == 1 and all(isinstance(rows[0].get(name), list) for name in ("columns", "data")):
        raise CatalogueError(
            "it holds a table as pandas' to_json writes it with orient='split'; write it with orient='records' and lines=True, "
            f"or convert it: {_command(_python(_ROWS_OF_SPLIT), uri, '.jsonl', compression)}"
        )
    columns = list(rows[0].values()) if len(rows) == 1 else []
    keys = [tuple(column) for column in columns if isinstance(column, dict)]
    if len(keys) > 1 and len(keys) == len(columns) and len(set(keys)) == 1 and keys[0][:1] == ("0",):
        raise CatalogueError(
            "it holds a table by its columns, as pandas' to_json writes it; write it with orient='records' and lines=True, or "
            f"convert it: {_command(_python(_ROWS_OF_COLUMNS), uri, '.jsonl', compression)}"
        )


def hint_for_one_object(rows: Sequence[Mapping[str, Any]], uri: str, compression: Sequence[Compression]) -> str:
    """What to type where the only object of a file holds the products in a list; empty where it does not."""
    name = list_of_products(rows)
    if name is None:
        return ""
    rows_of_list = _ROWS_OF_ARRAY % f"[{json.dumps(name)}]"
    return (
        f" Its only object holds a list {name!r}; if these are the products, write one a line: "
        f"{_command(_python(rows_of_list), uri, '.jsonl', compression)}"
    )


def list_of_products(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The only list of objects in the only object of a file; None where there is no such thing."""
    lists = [
        key
        for row in rows
        for key, value in row.items()
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value)
    ]
    return lists[0] if len(rows) == len(lists) == 1 else None


def hint_for_indented(text: str, uri: str, compression: Sequence[Compression]) -> str:
    """What to type where objects go over many lines; empty where they do not."""
    return (
        f"; if each object goes over many lines: {_command(_JQ + ' .', uri, '.jsonl', compression)}"
        if text.lstrip("\ufeff \r\n").startswith("{")
        else ""
    )


def hint_for_many_keys(uri: str, compression: Sequence[Compression]) -> str:
    """What to type where objects have too many keys."""
    return _command(_JQ + " '{product_id, uri, title}'", uri, ".jsonl", compression)


def _python(code: str) -> str:
    return f"python3 -c {shlex.quote(code)}"


def _command(run: str, uri: str, ending: str, compression: Sequence[Compression]) -> str:
    """A line for the shell that writes another file beside a file. run: what turns one into the other."""
    target = _beside(uri, ending)
    if not compression:
        return f"{run} < {_path(uri)} > {target}"
    outer, *inner = (_UNPACK[kind] for kind in compression)
    return " | ".join([f"{outer} {_path(uri)}", *inner, f"{run} > {target}"])


def _path(uri: str) -> str:
    return shlex.quote(files.local_path(uri))


def _beside(uri: str, ending: str) -> str:
    """A file beside another, of another name whatever that is called."""
    path = files.local_path(uri)
    folder, slash, name = path.rpartition("/")
    stem = name.split(".")[0] or name
    return shlex.quote(
        f"{folder}{slash}{stem}{ending}" if f"{stem}{ending}" != name else f"{folder}{slash}{stem}-rows{ending}"
    )


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
