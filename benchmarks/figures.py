"""docs/figures.md and README's table, made from the newest result of every benchmark.

python -m benchmarks.figures    writes both; tests/test_benchmarks.py keeps them true
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.__main__ import names
from benchmarks.real_input import ARMS

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


def _coverage(s: Summary) -> str:
    guaranteed, recall = s["decisions: guaranteed recall"], s["decisions: recall"]
    return (
        f"guaranteed recall covers {guaranteed['least']:.1%} or more at every point, recall "
        f"{recall['mean']:.1%} on the mean, macro F1 {s['decisions: macro_f1']['least']:.1%} or "
        "more"
    )


def _text_coverage(s: Summary) -> str:
    least = ", ".join(f"{name} {found['least_macro']:.1%}" for name, found in s.items())
    return f"least coverage of a mean over categories: {least}"


def _audit(s: Summary) -> str:
    found, clean = s["found where planted"], s["named on clean tables"]
    return (
        f"planted faults are found in {min(found.values()):.1%} or more; of {s['clean tables']} "
        f"clean tables {sum(clean.values()):.1%} are named"
    )


def _costs(s: Summary) -> str:
    return f"simulated: {s['simulated']}; real: {s['real']}"


def _scale(s: Summary) -> str:
    return "a million rows: " + ", ".join(
        f"{name} {found['million_rows_seconds']:.0f} s and {found['million_rows_gigabytes']:.1f} GB"
        for name, found in s.items()
    )


def _first(s: Summary) -> str:
    first = ", ".join(s["equipoise_first_on"]) or "none"
    return f"of {s['sets_with_every_arm']} sets with every arm the default is first on {first}"


def _slowest(s: Summary) -> str:
    return f"10,000 rows of 50 classes: {s['slowest_at_10000_rows_50_classes_seconds']} s"


def _rules(s: Summary) -> str:
    return _gains({rule: found["mean_gain"] for rule, found in s.items()}, "offsets")


def _variants(s: Summary) -> str:
    gains = {
        f"{variant} (of {found['sets']})": found["macro_f1_gain"] for variant, found in s.items()
    }
    return _gains(gains, "the default of then")


def _depth(s: Summary) -> str:
    gains = {
        f"{layers} layers at {found['cpu_ratio']} times the processor": found["mean_gain"]
        for layers, found in s.items()
    }
    return _gains(gains, "three layers")


def _gains(gains: dict[str, float], against: str) -> str:
    said = ", ".join(f"{name} {gain:+.4f}" for name, gain in gains.items())
    return f"macro-F1 on the mean over the sets, less that of {against}: {said}"


def _rows_speed(s: Summary) -> str:
    units = s["units"]
    largest = max(unit["settings"]["rows"] for unit in units)
    slowest = max(
        (unit["result"]["processor_seconds"], unit["settings"]["name"])
        for unit in units
        if unit["settings"]["rows"] == largest
    )
    return f"{largest:,} rows: at most {slowest[0]:.0f} s of processor ({slowest[1]})"


def _base(s: Summary) -> str:
    found = s["units"][-1]["result"]
    return (
        f"{found['validation_loss']:.2f} nats a token, by frequency alone "
        f"{found['unigram_loss']:.2f}; made in {found['seconds'] / 60:.0f} min"
    )


Summary = dict[str, Any]
SAYS: dict[str, Callable[[Summary], str]] = {
    "audit_findings": _audit,
    "costs": _costs,
    "coverage": _coverage,
    "deciding": _rules,
    "defaults": _variants,
    "depth": _depth,
    "judging_speed": _slowest,
    "real_input": _first,
    "rows_speed": _rows_speed,
    "scale": _scale,
    "text_coverage": _text_coverage,
    "tiny_base": _base,
}
"""A sentence out of the summaries that hold none; where there is no summary, out of the units."""


def _states(results: dict[str, dict[str, Any]]) -> str:
    lines = ["| benchmark | result of | units | in a sentence |", "| --- | --- | --- | --- |"]
    for name in names():
        result = results.get(name)
        if result is None:
            lines.append(f"| `{name}` | | none yet | |")
            continue
        there, wanted = len(result["units"]), result["units_wanted"]
        units = f"all {wanted}" if result["complete"] else f"{there} of {wanted}"
        says = _sentence(name, result).replace("|", "\\|")
        says = re.sub(r"(?<=\d)%", " %", says)
        lines.append(f"| `{name}` | {result['date']} | {units} | {says} |")
    return "\n".join(lines) + "\n"


def _sentence(name: str, result: dict[str, Any]) -> str:
    summary: Summary = result["summary"] or {"units": result["units"]}
    if "says" in summary:
        return str(summary["says"])
    return SAYS[name](summary) if name in SAYS else ""


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
