"""What learning a task costs elsewhere, and what each hold on the base pays on the task.

    python -m benchmarks.forgetting --list
    python -m benchmarks.forgetting --only '*.s0'         # one seed of everything

The tiny base, made from books, learns `e2e_nlg` as in `benchmarks.generation` (rows as they come).
Before and after, its loss is measured on books that neither it nor any arm has seen: 200 passages
of the test books. Nothing is chosen by them: every strength was set beforehand. Replayed are
passages of the books that the base was made from. The price is the difference to plain training on
the task's judged rows, macro over categories, over rows and seeds.

plain, replay, kl, l2_sp and the interpolations (WiSE-FT) train all weights at one rate; light_K
trains the K upper layers; lora has a rate three times as high, since its products start at nothing.
Holds with a strength are there with two or three; to fit, one of them on three seeds, the others on
the first alone. Those of replay are shares of a step's rows; passages are several times as long as
the task's sentences and every token counts the same, so that most of the loss is theirs.
`replayed_tokens` says how much. Which arms no other beats in both is asked of differences to plain
training with the same seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arms import SEEDS
from benchmarks.common import Bench, Result, Unit
from benchmarks.generation import PLENTIFUL, SET, e2e_rows, mean_figures, natural_shares
from benchmarks.machine import kept_states
from benchmarks.sets import load_lines, open_lines
from benchmarks.tiny_base import VERSION, need_tiny_base
from benchmarks.writing_runs import Line, run_apart, same_seeds, text_differences, unpacked

BOOKS = "books_pd"
PLAIN = "plain"
FULL: dict[str, Any] = {"model": {"method": "full"}}
ARMS: dict[str, dict[str, Any]] = {
    PLAIN: FULL,
    **{
        f"replay_{share}": FULL | {"keep": {"replay": "FOLDER/replay.jsonl", "replay_share": share}}
        for share in (0.1, 0.3)
    },
    **{f"kl_{weight}": FULL | {"keep": {"kl": weight}} for weight in (0.3, 1.0)},
    **{f"l2_sp_{weight}": FULL | {"train": {"l2_sp": weight}} for weight in (0.003, 0.03)},
    **{
        f"light_{layers}": {"model": {"method": "light", "trained_layers": layers}}
        for layers in (1, 3, 5)
    },
    **{f"wise_{share}": FULL | {"keep": {"interpolate": share}} for share in (0.25, 0.5, 0.75)},
    "lora": {"model": {"method": "lora"}, "train": {"learning_rate": 3e-3}},
}
"""What each arm's recipe has beside what all have."""
OTHER_STRENGTHS = (
    *("replay_0.1", "kl_0.3", "l2_sp_0.003"),
    *("light_1", "light_5", "wise_0.25", "wise_0.75"),
)
"""Run on the first seed alone."""
SIZES = {
    "train_rows": 2_400,
    "validation_rows": 400,
    "held_rows": 125,
    "test_rows": 630,
    "general": 200,
    "replayed": 1_000,
}
TUNING = {"epochs": 2, "rows_a_step": 16, "learning_rate": 1e-3, "new_tokens": 72}
PASSAGE = 1_000
"""Characters."""
MEASURES = ("loss", "bleu")


def unit_of(arm: str, seed: int, sizes: dict[str, int] | None = None, **tuning: Any) -> Unit:
    """sizes, tuning  For trials."""
    settings = {"arm": arm, "seed": seed, "changes": ARMS[arm], "base": VERSION}
    return Unit(f"{arm}.s{seed}", settings | (sizes or SIZES) | TUNING | tuning)


def passages(books: Sequence[Line], wanted: int, seed: int) -> list[Line]:
    """So many passages, drawn evenly over the whole length of all books, cut at blanks; fewer
    where the books are shorter than that."""
    whole = [
        (k, start)
        for k, book in enumerate(books)
        for start in range(0, len(book["text"]) - PASSAGE, PASSAGE)
    ]
    drawn = np.random.default_rng(seed).permutation(len(whole))[:wanted]
    out = []
    for k, start in (whole[number] for number in sorted(drawn.tolist())):
        text = books[k]["text"][start : start + PASSAGE]
        out.append({"text": " ".join(text.split(" ")[1:-1])})
    return [line for line in out if line["text"].strip()]


def recipe_of(settings: Any, base: Path) -> dict[str, Any]:
    changes = settings["changes"]
    return {
        "model": {"name": str(base), "max_tokens": 256, **changes["model"]},
        "train": {
            "epochs": settings["epochs"],
            "learning_rate": settings["learning_rate"],
            "batch_rows": settings["rows_a_step"],
            "device_rows": settings["rows_a_step"],
            **changes.get("train", {}),
        },
        "write": {
            "decode_rows": 0,
            "keep": {"general": "FOLDER/general.jsonl", **changes.get("keep", {})},
        },
        "remedies": [],
        "split": {"threshold": 1.0},
        "baselines": [],
    }


def run_unit(unit: Unit) -> Result:
    s = unit.settings
    base, by = need_tiny_base(), f"forgetting {unit.name}"
    rows = e2e_rows(s, "as_is", by=by)
    rows["general"] = passages(open_lines(BOOKS, by=by), s["general"], 0)
    if "replay" in s["arm"]:
        rows["replay"] = passages(load_lines(BOOKS, "train"), s["replayed"], s["seed"])
    asked = {
        "recipe": recipe_of(s, base),
        "seed": s["seed"],
        "new_tokens": s["new_tokens"],
        "shares": natural_shares(),
    }
    record, sums = run_apart(rows, asked, cache=kept_states() / SET)
    general = record["general"]
    record["forgotten"] = round(general["loss_after"] - general["loss_before"], 5)
    return Result(record, {"npz": sums})


def price_seconds(unit: Unit) -> float:
    """On one quiet core; kl passes through the base too."""
    s = unit.settings
    arm = s["arm"].split("_")[0]
    a_row = {"kl": 0.035, "replay": 0.035, "light": 0.015}.get(arm, 0.025)
    judged = s["test_rows"] + len(PLENTIFUL) * s["held_rows"]
    return 25 + a_row * s["train_rows"] * s["epochs"] + 0.05 * judged


def summarise(units: list[dict[str, Any]], resamples: int = 2000) -> dict[str, Any]:
    found = by_arm(units)
    plain = found.get(PLAIN, {})
    lines = {arm: line_of(seeds, plain, resamples) for arm, seeds in found.items()}
    return {
        "before": next((unit["result"]["general"]["loss_before"] for unit in units), None),
        "not_dominated": not_dominated(
            {
                arm: (line["forgotten_minus_plain"], line["macro_loss_minus_plain"]["value"])
                for arm, line in lines.items()
                if "macro_loss_minus_plain" in line
            }
            | ({PLAIN: (0.0, 0.0)} if plain else {})
        ),
        "arms": lines,
    }


def line_of(
    seeds: dict[int, dict[str, Any]], plain: dict[int, dict[str, Any]], resamples: int
) -> dict[str, Any]:
    results = [unit["result"] for unit in seeds.values()]
    figures = mean_figures(results)
    line: dict[str, Any] = {
        "seeds": len(seeds),
        "forgotten": round(float(np.mean([one["forgotten"] for one in results])), 4),
        "replayed_tokens": round(float(np.mean([one["replayed_tokens"] for one in results])), 3),
        "forgotten_by_seed": [one["forgotten"] for one in results],
        "macro_loss": figures["loss"]["macro"],
        "macro_bleu": figures["bleu"]["macro"],
        "training_seconds": round(float(np.mean([r["stages"]["training"] for r in results])), 1),
    }
    common = same_seeds(seeds, plain)
    if common and seeds is not plain:
        apart = [seeds[k]["result"]["forgotten"] - plain[k]["result"]["forgotten"] for k in common]
        line["forgotten_minus_plain"] = round(float(np.mean(apart)), 4)
        sides = [[unpacked(side[k]["paths"]["npz"]) for k in common] for side in (seeds, plain)]
        for measure in MEASURES:
            found = text_differences(sides[0], sides[1], measure, resamples=resamples)
            if "macro" in found:
                line[f"macro_{measure}_minus_plain"] = found["macro"].to_json()
    return line


def not_dominated(costs: dict[str, tuple[float, float]]) -> list[str]:
    """Those than which no other is at most as high in both and lower in one.

    >>> not_dominated({"a": (1.0, 0.0), "b": (0.0, 1.0), "c": (1.0, 1.0)})
    ['a', 'b']
    """
    return [
        name
        for name, own in costs.items()
        if not any(
            all(x <= y for x, y in zip(other, own, strict=True)) and other != own
            for other in costs.values()
        )
    ]


def by_arm(units: list[dict[str, Any]]) -> dict[str, dict[int, dict[str, Any]]]:
    out: dict[str, dict[int, dict[str, Any]]] = {}
    for unit in units:
        s = unit["settings"]
        out.setdefault(s["arm"], {})[s["seed"]] = unit
    return out


def table(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    summary = summarise(units, resamples=500)
    lines = []
    for arm, found in summary["arms"].items():
        line = {
            "arm": arm,
            **{k: v for k, v in found.items() if isinstance(v, int | float)},
        }
        for measure in MEASURES:
            d = found.get(f"macro_{measure}_minus_plain")
            if d is not None:
                said = f"{d['value']:+.3f} [{d['low']:.3f}, {d['high']:.3f}]"
                line[f"macro {measure} - plain"] = said
        lines.append(line)
    return lines


def trial_units() -> list[Unit]:
    """A few rows: whether everything runs, not what it shows."""
    sizes = {"train_rows": 32, "validation_rows": 8, "held_rows": 4, "test_rows": 30}
    sizes |= {"general": 6, "replayed": 12}
    arms = (PLAIN, "replay_0.3", "kl_1.0", "wise_0.5", "light_1")
    return [unit_of(arm, 0, sizes, epochs=1, new_tokens=6) for arm in arms]


BENCH = Bench(
    "forgetting",
    version=4,
    units=[
        unit_of(arm, seed)
        for seed in SEEDS
        for arm in ARMS
        if seed == SEEDS[0] or arm not in OTHER_STRENGTHS
    ],
    run=run_unit,
    price_seconds=price_seconds,
    summarise=summarise,
    table=table,
    about=(__doc__ or "").strip().splitlines()[0],
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
