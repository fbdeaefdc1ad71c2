"""Rows in other languages than the base model declares, told by a detector."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from make_given import rows_of

import equipoise
from equipoise.audit.audit import hear
from equipoise.audit.findings.texts import other_languages
from equipoise.audit.given import Given
from equipoise.audit.spoken import FEWEST, SAMPLED, Heard, language_name, spoken
from equipoise.data import read_rows
from equipoise.records.audit import Skipped
from equipoise.records.rows import text_column

ENGLISH = [
    "Where is my parcel? It should have been here on Monday.",
    "The lamp arrived with a cracked shade, can I have another?",
    "please cancel order 4471, i picked the wrong colour",
    "I was charged twice for the same pair of boots.",
    "do you still make the blue teapot with the wooden handle",
]
GERMAN = [
    "Wo bleibt mein Paket? Es sollte schon am Montag da sein.",
    "Die Lampe kam mit einem gesprungenen Schirm an.",
    "bitte die Bestellung 4471 stornieren, falsche Farbe gewählt",
    "Mir wurden dieselben Stiefel zweimal abgebucht.",
    "gibt es die blaue Teekanne mit dem Holzgriff noch",
]
KOREAN = ["월요일에 온다던 택배가 아직 안 왔어요", "같은 신발이 두 번 결제되었습니다"]


def heard(texts: list[str], *declared: str, seed: int = 0) -> Heard | None:
    pytest.importorskip("py3langid")
    return spoken(text_column(texts), declared, np.random.default_rng(seed))


def mixed(german: int, english: int) -> Given:
    texts = GERMAN * (german // 5) + ENGLISH * (english // 5)
    return replace(rows_of(texts, ["x", "y"] * (len(texts) // 2)), languages=("en",))


def test_rows_in_the_declared_languages_are_not_named() -> None:
    for found in (heard(ENGLISH * 8, "en"), heard(GERMAN * 8, "de"), heard(KOREAN * 20, "ko")):
        assert found is not None
        assert found.record.outside == 0
        assert found.record.others == {}
        assert not found.foreign
    both = heard(ENGLISH * 8 + GERMAN * 8, "de", "en")
    assert both is not None
    assert (both.record.outside, both.record.rows) == (0, 80)


def test_shares_are_those_of_the_rows() -> None:
    found = heard(ENGLISH * 10 + GERMAN * 8 + KOREAN * 5, "en")
    assert found is not None
    assert found.record.outside == pytest.approx(0.5)
    assert found.record.others == {"de": pytest.approx(0.4), "ko": pytest.approx(0.1)}
    assert sorted(found.rows.tolist()) == list(range(50, 100))
    assert {found.languages[list(found.rows).index(row)] for row in range(90, 100)} == {"ko"}


def test_the_rows_of_the_demo_are_english() -> None:
    table = read_rows(Path(equipoise.__file__).parent / "demo" / "support_messages")
    texts = [text for part in table.parts.values() for text in part.texts.tolist()]
    found = heard(texts, "en")
    assert found is not None
    assert found.record.sampled == SAMPLED
    assert found.record.outside < 0.01


def test_nothing_is_said_where_it_can_not_be_told() -> None:
    assert heard(GERMAN * 8) is None  # nothing declared
    assert heard(GERMAN * 8, "en", "xyz") is None  # a language that the detector does not know
    assert heard([*(["ja", "nein", "4471"] * 50), *GERMAN], "en") is None  # too short
    assert heard((GERMAN * 4)[: FEWEST - 1], "en") is None
    assert heard(GERMAN * 4, "en") is not None


def test_numbers_and_markup_are_in_no_language() -> None:
    noise = [f"<a href='x{k}'>4471-{k}</a> AB{k}CD{k}EF{k}GH{k} ==== 12:30:{k}" for k in range(40)]
    found = heard(noise + ENGLISH * 8, "en")
    assert found is None or not found.foreign


def test_the_same_seed_gives_the_same_sample() -> None:
    texts = (ENGLISH * 500 + GERMAN * 500)[:4000]
    one, two, other = (heard(texts, "en", seed=seed) for seed in (3, 3, 4))
    assert one is not None
    assert two is not None
    assert other is not None
    assert one.record == two.record
    np.testing.assert_array_equal(one.rows, two.rows)
    assert one.rows.tolist() != other.rows.tolist()


def test_a_finding_names_languages_with_rows_to_read() -> None:
    pytest.importorskip("py3langid")
    given = mixed(german=60, english=40)
    (said,) = other_languages(given, hear(given, 0, [], []))
    assert (said.weight, said.rows) == ("serious", 60)
    assert said.says == (
        "60 % of the rows are in other languages than the base model was made for (English): "
        "German 60 %"
    )
    assert said.examples[0].note == "likeliest German"
    assert said.examples[0].text in GERMAN
    some = mixed(german=30, english=70)
    assert [f.weight for f in other_languages(some, hear(some, 0, [], []))] == ["look"]
    few = mixed(german=20, english=80)
    assert list(other_languages(few, hear(few, 0, [], []))) == []


def test_without_the_detector_it_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from equipoise.audit import spoken as module

    module._detector.cache_clear()
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    skipped: list[Skipped] = []
    assert hear(mixed(german=60, english=40), 0, skipped, []) is None
    assert "pip install 'equipoise[audit]'" in skipped[0].why
    skipped.clear()
    assert hear(replace(mixed(german=60, english=40), languages=()), 0, skipped, []) is None
    assert skipped == []  # nothing was declared, so nothing was missed


def test_names_of_languages() -> None:
    assert [language_name(code) for code in ("de", "nb", "tlh")] == ["German", "Norwegian", "tlh"]
