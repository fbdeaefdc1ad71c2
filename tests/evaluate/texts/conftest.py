"""A folder of WordNet with a handful of words, in the format in which it is published."""

from __future__ import annotations

from pathlib import Path

import pytest

SYNSETS = {
    "noun": [["car", "auto", "motor_car"], ["goose"], ["man", "adult_male"]],
    "verb": [["run", "operate"]],
    "adj": [["big(a)", "large"]],
    "adv": [["quickly", "rapidly"]],
}


@pytest.fixture(scope="session")
def wordnet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wordnet")
    for kind, synsets in SYNSETS.items():
        data, index = "  1 a licence\n", {}
        for members in synsets:
            at = len(data)
            words = " ".join(f"{word} 0" for word in members)
            data += f"{at:08d} 00 {kind[0]} {len(members):02x} {words} 000 | what it means\n"
            index |= {word.split("(")[0]: at for word in members}
        lines = [f"{word} {kind[0]} 1 0 1 0 {at:08d}  " for word, at in sorted(index.items())]
        (folder / f"data.{kind}").write_text(data)
        (folder / f"index.{kind}").write_text("  1 a licence\n" + "\n".join(lines) + "\n")
    (folder / "noun.exc").write_text("geese goose\n")
    return folder
