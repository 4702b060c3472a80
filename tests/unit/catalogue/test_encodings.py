"""The encoding of a text: found where something in it says so; elsewhere Windows-1252 is assumed, and said to be."""

from __future__ import annotations

import codecs
import random

import pytest

from prodseek.catalogue.encodings import find_encoding

TITLES = {
    "czech": (
        "cp1250",
        ["Židle dubová čalouněná", "Stůl jídelní rozkládací", "Skříň šatní s zrcadlem", "Křeslo ušák žluté"],
    ),
    "polish": ("cp1250", ["Krzesło dębowe tapicerowane", "Łóżko małżeńskie", "Półka ścienna", "Fotel żółty uszak"]),
    "turkish": ("cp1254", ["Meşe sandalye döşemeli", "Sarı koltuk", "Çekmeceli şifonyer", "Aynalı gardırop"]),
    "german": ("cp1252", ["Stuhl aus Eiche", "Stehlampe weiß", "Kleiderbügel grün", "Büfett – Nussbaum 100 €"]),
    "french": ("cp1252", ["Chaise en chêne rembourrée", "Étagère murale", "Armoire à glace", "Lit français"]),
    "spanish": ("cp1252", ["Sillón amarillo", "Cómoda con cajones", "Mesa pequeña", "Aparador señorial"]),
    "swedish": ("cp1252", ["Fåtölj gul", "Vägghylla", "Byrå med lådor", "Skänk i valnöt"]),
}
RUSSIAN = ["Стул дубовый мягкий", "Стол обеденный раздвижной", "Кресло жёлтое", "Шкаф с зеркалом", "Полка настенная"]
GREEK = ["Καρέκλα δρύινη", "Τραπέζι τραπεζαρίας", "Ντουλάπα με καθρέφτη", "Πολυθρόνα κίτρινη", "Ράφι τοίχου"]


def table(titles: list[str], n_rows: int, seed: int = 0) -> str:
    chosen = random.Random(seed)
    rows = [f"p{n},img/{n}.jpg,{chosen.choice(titles)},{n}.50" for n in range(n_rows)]
    return "\n".join(["product_id,uri,title,price", *rows])


@pytest.mark.parametrize("n_rows", [1, 3, 10, 3000])
@pytest.mark.parametrize("language", TITLES)
def test_latin_letters_are_windows_1252_and_said_to_be_assumed(language: str, n_rows: int) -> None:
    """Encodings of Latin letters cannot be told apart here: Spanish comes out as Czech of other letters."""
    encoding, titles = TITLES[language]
    found = find_encoding(table(titles, n_rows).encode(encoding), None)
    assert found.name == "cp1252" or not any(ord(char) > 127 for char in table(titles, n_rows))
    assert found.is_assumed == (found.name == "cp1252")
    assert not find_encoding(table(titles, n_rows).encode(encoding), encoding).is_assumed


@pytest.mark.parametrize("n_rows", [5, 10, 300])
@pytest.mark.parametrize("encoding", ["cp1251", "koi8_r", "cp866", "iso8859_5", "cp1253", "iso8859_7"])
def test_cyrillic_and_greek_are_found(encoding: str, n_rows: int) -> None:
    for seed in range(5):
        text = table(GREEK if encoding in ("cp1253", "iso8859_7") else RUSSIAN, n_rows, seed)
        found = find_encoding(text.encode(encoding), None)
        assert text.encode(encoding).decode(found.name) == text and found.is_assumed


@pytest.mark.parametrize("encoding", ["cp1251", "koi8_r", "cp866", "iso8859_5", "cp1253", "iso8859_7"])
def test_a_title_or_two_tell_greek_from_cyrillic(encoding: str) -> None:
    greek = ("Κόκκινο φλιτζάνι", "ΨΥΓΕΙΟ ΜΑΥΡΟ", *GREEK[:2])
    for title in (
        greek if encoding in ("cp1253", "iso8859_7") else ("Красная чашка", "Электрический чайник", *RUSSIAN[:2])
    ):
        text = "product_id,uri,title\n" + "".join(f"p{n},{n}.jpg,{title} {n}\n" for n in range(2))
        assert text.encode(encoding).decode(find_encoding(text.encode(encoding), None).name) == text, title


@pytest.mark.parametrize(
    "marks", ["———————————————", "€€€€ ‘’“”…—–•", "¼½¾ °°° ©®™"], ids=["dashes", "quotes", "signs"]
)
def test_signs_in_a_row_are_no_other_script(marks: str) -> None:
    assert find_encoding(table([marks], 30).encode("cp1252"), None).name == "cp1252"


def test_a_few_lines_of_another_encoding_leave_a_text_what_it_is() -> None:
    lines = [line.encode() for line in table(["Stühle"], 30).splitlines()]
    assert find_encoding(b"\n".join([*lines, "p,Stühle".encode("cp1252")]), None).name == "utf-8"
    assert find_encoding("\n".join(["product_id,uri", "p,Stühle"]).encode("cp1252"), None).name == "cp1252"


def test_a_mark_wins_over_the_encoding_of_an_earlier_export() -> None:
    found = find_encoding(codecs.BOM_UTF8 + "Größe".encode(), "cp1250")
    assert (found.name, found.n_mark, found.is_assumed) == ("utf-8", 3, False)
    assert find_encoding("Größe".encode("cp1250"), "cp1250").name == "cp1250"
