"""What the card of a base model (README.md of its folder) says of the model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

_ALL = {"multilingual", "mul"}
"""Said instead of a list, or beside it."""
_NONE = {"code", "zxx", "und"}
"""Said where languages are, and none."""
_FRONT = re.compile(r"\ufeff?---[ \t]*\n(.*?)\n(---|\.\.\.)[ \t]*(\n|$)", re.DOTALL)


def declared_languages(folder: Path) -> tuple[str, ...]:
    """ISO 639 codes under `language:` in the front matter, in the order given, without script and
    region ("pt-BR" is "pt"). Empty where the card says nothing that can be read, or that the model
    is for many languages."""
    try:
        front = _FRONT.match((folder / "README.md").read_text(encoding="utf-8"))
        # Its scalars are all texts; for the others `no`, Norwegian, is false.
        card: Any = yaml.load(front[1], Loader=yaml.BaseLoader) if front else {}
    except (OSError, ValueError, yaml.YAMLError):
        return ()
    said = card.get("language") if isinstance(card, dict) else None
    listed = said if isinstance(said, list) else [said]
    codes = [re.split("[-_]", one)[0].lower() for one in listed if isinstance(one, str)]
    if _ALL & set(codes):
        return ()
    return tuple(dict.fromkeys(code for code in codes if code and code not in _NONE))
