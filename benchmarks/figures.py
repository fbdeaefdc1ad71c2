"""docs/figures.md and README's table, made from the newest result of every benchmark.

python -m benchmarks.figures    writes both; tests/test_benchmarks.py keeps them true
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from benchmarks.__main__ import names
from benchmarks.real_input import ARMS
from benchmarks.sentences import sentence

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "figures.md"
README = HERE.parent / "README.md"
_PART = re.compile(r"(?<=<!-- python -m benchmarks.figures -->\n).*?(?=<!-- end -->)", re.DOTALL)
""" README's part that is written here."""
COLUMNS = {
    "equipoise": "Equipoise, no settings",
    "tfidf": "TF-IDF + LR",
    "vectors": "encoder vectors + LR",
    "trainer_plain": "Trainer, 3 epochs",
    "trainer_early": "Trainer, early stopping",
}
"""README's names of the arms."""
_HEAD = """# What was measured

Made by `python -m benchmarks.figures` from the newest files of `benchmarks/results/`; what each
benchmark does, and its price, is in [benchmarks.md](benchmarks.md), and what was decided by it in
[decisions.md](decisions.md). A result that lacks units says how many it has.
"""


def newest() -> dict[str, dict[str, Any]]:
    """{benchmark: its result of the latest date}."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((HERE / "results").glob("*.json")):  # dates sort as text
        result = json.loads(path.read_text(encoding="utf-8"))
        found[result["name"]] = result
    return found


def page() -> str:
    results = newest()
    parts = [_HEAD, _states(results)]
    if "real_input" in results:
        parts.append(_real_input(results["real_input"]))
    return "\n".join(parts)


def _states(results: dict[str, dict[str, Any]]) -> str:
    lines = ["| benchmark | result of | units | in a sentence |", "| --- | --- | --- | --- |"]
    for name in names():
        result = results.get(name)
        if result is None:
            lines.append(f"| `{name}` | | none yet | |")
            continue
        there, wanted = len(result["units"]), result["units_wanted"]
        units = f"all {wanted}" if result["complete"] else f"{there} of {wanted}"
        says = sentence(name, result).replace("|", "\\|")
        says = re.sub(r"(?<=\d)%", " %", says)
        lines.append(f"| `{name}` | {result['date']} | {units} | {says} |")
    return "\n".join(lines) + "\n"


def _real_input(result: dict[str, Any]) -> str:
    """Macro-F1 of the default run beside its rivals."""
    return "\n".join(
        [
            f"## `real_input`, {result['date']}",
            "",
            "Test macro-F1, mean over the seeds that are there (their number in brackets).",
            "",
            _macro_f1(result, {arm: f"`{arm}`" for arm in ARMS}, "set", seeds=True),
        ]
    )


def readme() -> str:
    """README as it is, with the table of today's result."""
    lines = _macro_f1(newest()["real_input"], COLUMNS, "test macro-F1", seeds=False)
    return _PART.sub(lambda _: lines, README.read_text(encoding="utf-8"))


def _macro_f1(result: dict[str, Any], columns: dict[str, str], corner: str, *, seeds: bool) -> str:
    """A line for each set, its best arm in bold. columns  {arm: its heading}."""
    lines = [f"| {corner} | {' | '.join(columns.values())} |", f"| --- |{' --- |' * len(columns)}"]
    for name, arms in result["summary"]["sets"].items():
        best = max(found["macro_f1"] for found in arms.values())
        cells = [_cell(arms.get(arm), best, seeds=seeds) for arm in columns]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(found: dict[str, Any] | None, best: float, *, seeds: bool) -> str:
    if found is None:
        return "–"
    value = f"{found['macro_f1']:.3f}"
    shown = f"**{value}**" if found["macro_f1"] == best else value
    return f"{shown} ({found['seeds']})" if seeds else shown


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    README.write_text(readme(), encoding="utf-8")
