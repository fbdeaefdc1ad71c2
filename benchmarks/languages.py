"""How often rows of a language that a base model was made for are taken for another, and found.

    python -m benchmarks.languages

Two kinds of units. `english.SET`: training rows of a real set (and of the demo) under a base that
declares English; what is in another language there is next to nothing, so the share is of mistakes.
`messages.LOCALE`: Django's translated messages under a base that declares their language, where the
share is of mistakes too, and under one that declares English, where it should be all.

Needs Django (pip install django; its translations come with it); nothing else here does.
"""

from __future__ import annotations

import gettext
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Bench, Unit
from benchmarks.sets import load_set

SETS = (
    "trec6",
    "banking77_longtail",
    "goemotions",
    "atis_intents",
    "tweet_emotion",
    "tweet_offensive",
)
LOCALES = (
    *("ar", "bg", "ca", "cs", "da", "de", "el", "es", "et", "fa", "fi", "fr", "he", "hu", "id"),
    *("it", "ja", "ko", "lt", "lv", "nb", "nl", "pl", "pt", "ro", "ru", "sk", "sv", "tr", "uk"),
    "zh_Hans",
)
SEED = 0


def run_unit(unit: Unit) -> dict[str, Any]:
    """Shares, of the sampled rows that are long enough, that are taken for another language than
    their own, and than English."""
    from equipoise.audit.spoken import spoken

    texts = np.array(texts_of(unit), dtype=object)
    found: dict[str, Any] = {}
    for under, code in (("its_own", unit.settings["language"]), ("english", "en")):
        heard = spoken(texts, [code], np.random.default_rng(SEED))
        if heard is None:
            raise RuntimeError(f"{unit.name}: too few rows are long enough")
        found["rows"] = heard.record.rows
        found[f"foreign_under_{under}"] = round(heard.record.outside, 5)
    return found


def texts_of(unit: Unit) -> list[str]:
    kind, _, name = unit.name.partition(".")
    if kind == "messages":
        return messages(name)
    if name == "demo":
        from equipoise.data.read import read_rows
        from equipoise.demo import demo_folder

        return [str(text) for text in read_rows(demo_folder()).parts["train"].texts]
    return [text for text, _ in load_set(name, None, SEED).train]


def messages(locale: str) -> list[str]:
    """Django's own messages and its applications', in a language, each once."""
    spec = importlib.util.find_spec("django")
    if spec is None or spec.origin is None:
        from equipoise.errors import FolderError

        raise FolderError("django: not installed; pip install django, for its translations")
    said: set[str] = set()
    for path in Path(spec.origin).parent.glob(f"**/locale/{locale}/LC_MESSAGES/django.mo"):
        with path.open("rb") as file:
            catalog: dict[Any, str] = vars(gettext.GNUTranslations(file))["_catalog"]
        said.update(text for source, text in catalog.items() if source)
    return sorted(said)


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    of_kind: dict[str, dict[str, Any]] = {"english": {}, "messages": {}}
    for unit in units:
        kind, _, name = unit["name"].partition(".")
        of_kind[kind][name] = unit["result"]
    shares = {
        "english rows taken for foreign": _shares(of_kind["english"], "foreign_under_its_own"),
        "messages taken for foreign": _shares(of_kind["messages"], "foreign_under_its_own"),
        "messages found under an English base": _shares(
            of_kind["messages"], "foreign_under_english"
        ),
    }
    english, own, found = shares.values()
    says = []
    if english:
        says.append(f"of English rows {max(english.values()):.1%} at most are taken for foreign")
    if own:
        says.append(
            f"of messages in {len(own)} languages {max(own.values()):.1%} at most, and "
            f"{min(found.values()):.1%} or more are found under an English base"
        )
    return {"says": "; ".join(says), **shares}


def _shares(results: dict[str, Any], key: str) -> dict[str, float]:
    return {name: result[key] for name, result in results.items()}


BENCH = Bench(
    "languages",
    units=[
        *(Unit(f"english.{name}", {"language": "en"}) for name in ("demo", *SETS)),
        *(Unit(f"messages.{name}", {"language": name.partition("_")[0]}) for name in LOCALES),
    ],
    run=run_unit,
    price_seconds=lambda _: 1.0,
    summarise=summarise,
    about=(__doc__ or "").strip().splitlines()[0],
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
