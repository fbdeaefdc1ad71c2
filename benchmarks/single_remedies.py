"""Every single remedy against plain training: one method, the same rows and seeds.

    python -m benchmarks.single_remedies --list
    python -m benchmarks.single_remedies --only '*.focal'

The units come from the table of remedies, so a new remedy appears by itself; `plain` is none of
them. Every unit calibrates by `temperature`, which plain has too, unless the remedy calibrates
itself. Settings are the remedy's own defaults. A remedy is run on the sets whose rows have as many
labels as it is for. One that needs what these sets do not hold (costs, groups), or that hands rows
to a person, is left out and named; one that the command refuses is stored as refused, with its
reason. A unit does not know when a remedy's code changes: run it again with --again.

A remedy that asks for a linear head is held against plain training with one. One that is another by
its defaults is left out, and named too.

Cheap, for there are hundreds of units: one seed, at most 1,000 training rows (of long texts 20,000
words) and 500 validation rows. On the sets of LIGHT two of the encoder's six layers are trained,
not five as by default, by plain too, and at most 2,000 test rows are judged; on the others the head
alone, on frozen vectors, and 1,000 test rows (of long texts 40,000 words), which costs far less:
what acts on words is refused there, and what changes how a body learns can't show. Frozen states
are computed once per set and kept from unit to unit (EQUIPOISE_BENCH_CACHE, else
~/.cache/equipoise-benchmarks); no baseline is fitted, and all units share one process, in which
remedies of the decision are fitted on the logits of one plain training a set. Their seconds say
nothing about a first run.

Test rows of sets that are balanced by construction are judged under the balanced prior: the
run's probabilities, given for training's class shares, are turned to equal shares. All choices
between remedies are to be made by the validation columns.
"""

from __future__ import annotations

import atexit
import os
import shutil
import statistics
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.arms import TOKENS, WORDS, judged_result, read_run, token_seconds
from benchmarks.common import Bench, Result, Unit
from benchmarks.machine import Child, kept_states, peak_rss
from benchmarks.paired import Difference
from benchmarks.quality import differences_in
from benchmarks.sets import (
    BALANCED_TEST,
    LABEL_SEPARATOR,
    MULTI_LABEL,
    TextSet,
    load_set,
    open_test,
    write_set,
)
from equipoise.errors import EquipoiseError, MissingExtraError
from equipoise.remedies.table import REMEDIES

PLAIN, PLAIN_LINEAR = "plain", "plain, linear head"
CALIBRATION = "temperature"
TRAIN_CAP, VALIDATION_CAP = 1_000, 500
TEST_CAP = {"light": 2_000, "head": 1_000}
WORDS_CAP, TEST_WORDS_CAP = 20_000, 40_000
LIGHT = ("trec6", "clinc150_imbalanced", "goemotions_multilabel")
"""Sets by the light method; the others by the head alone, to fit."""
MODELS: dict[str, dict[str, Any]] = {"light": {"trained_layers": 2}, "head": {"method": "head"}}
SEED = 0
NOT_AT_HAND = {
    "costs": "a cost matrix",
    "row_costs": "a cost of each row",
    "groups": "a group column",
}
"""What a remedy may need and these sets do not hold."""
LINEAR = ("tau_normalisation",)
"""Remedies that ask for a linear head."""
SAME_AS = {"balanced_softmax": "logit_adjusted", "weighted_cross_entropy": "class_weights"}
"""Remedies that are another by their defaults, to the bit."""
RESAMPLES = 500
LOSS_MARGIN = 0.01
"""What the upper bound of log loss and Brier may exceed plain's by: calibration undoes the harm."""


def left_out() -> dict[str, str]:
    """{remedy: why it is not run}."""
    lacking = {
        name: f"needs {NOT_AT_HAND[need]}"
        for name, remedy in REMEDIES.items()
        for need in remedy.needs
        if need in NOT_AT_HAND
    }
    handing_over = {
        name: "hands rows to a person: no measure of all rows shows what that is worth"
        for name, remedy in REMEDIES.items()
        if remedy.kind == "deferral"
    }
    same = {name: f"is {other} by its defaults" for name, other in SAME_AS.items()}
    return lacking | handing_over | same


def sets_of(remedy: str) -> list[str]:
    """Those whose rows have as many labels as the remedy is for; plain is run on all."""
    for_rows = "both" if remedy == PLAIN else REMEDIES[remedy].labels
    several = {"one": (False,), "several": (True,), "both": (False, True)}[for_rows]
    return [name for name in WORDS if (name in MULTI_LABEL) in several]


def remedies_of(remedy: str) -> list[str]:
    """One remedy, and the calibration that all have beside it."""
    alone = remedy == CALIBRATION or (remedy != PLAIN and REMEDIES[remedy].kind == "calibration")
    return [*([] if remedy == PLAIN else [remedy]), *([] if alone else [CALIBRATION])]


def method_of(name: str) -> str:
    return "light" if name in LIGHT else "head"


def unit_of(name: str, remedy: str, *, linear: bool = False) -> Unit:
    """linear  Whether the head is linear; None of the sets' defaults is."""
    rows, _, _, words = WORDS[name]
    method = method_of(name)
    settings = {
        "set": name,
        "remedy": remedy,
        "seed": SEED,
        "train_cap": min(TRAIN_CAP, rows, WORDS_CAP // words),
        "validation_cap": VALIDATION_CAP,
        "test_cap": min(TEST_CAP[method], TEST_WORDS_CAP // words),
        "model": MODELS[method] | ({"head": "linear"} if linear else {}),
        "remedies": remedies_of(remedy),
    }
    return Unit(f"{name}.{remedy}" + (".linear" if linear and remedy == PLAIN else ""), settings)


def run_unit(unit: Unit) -> Result:
    s = unit.settings
    chosen = load_set(s["set"], s["train_cap"], s["seed"], cap_validation=s["validation_cap"])
    test = open_test(s["set"], cap_rows=s["test_cap"], by=f"single_remedies {unit.name}")
    rows = TextSet(*chosen, test)
    os.environ["EQUIPOISE_CACHE"] = str(kept_states() / s["set"])
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / s["set"]
        write_set(source, rows)
        begun, worked = time.perf_counter(), time.process_time()
        try:
            run = run_of(source, Path(place) / "run", s)
        except MissingExtraError:
            raise
        except EquipoiseError as refusal:
            return Result({"refused": str(refusal)}, {})
        seconds, worked = time.perf_counter() - begun, time.process_time() - worked
        parts = read_run(run, s["set"], rows, balanced=s["set"] in BALANCED_TEST)
    return judged_result(rows, Child(None, seconds, worked, peak_rss(), ""), {}, parts)


def decides_alone(remedy: str) -> bool:
    return remedy != PLAIN and REMEDIES[remedy].moment == "decision"


def run_of(source: Path, out: Path, settings: Any) -> Path:
    """The folder of the run, or, of a remedy of the decision, of what it makes of plain's logits;
    `out`, or plain's own, which stands while the process lives."""
    from benchmarks.deciding_again import decide_again
    from equipoise.data.read import read_rows
    from equipoise.data.table import ColumnNames
    from equipoise.fit import fit_table
    from equipoise.recipe import make_recipe
    from equipoise.terminal import quiet_libraries

    several = settings["set"] in MULTI_LABEL
    columns = ColumnNames(label_separator=LABEL_SEPARATOR if several else None)
    asked = {"baselines": [], "model": settings["model"]}
    plain = make_recipe({**asked, "remedies": remedies_of(PLAIN)})
    plain_folder = plain_runs() / f"{settings['set']}-{plain.id}"
    seed, remedy = settings["seed"], settings["remedy"]
    with quiet_libraries():
        table = read_rows(source, columns=columns)
        if remedy == PLAIN or decides_alone(remedy):
            fit_table(table, plain_folder, plain, seed=seed)
        if remedy == PLAIN:
            return plain_folder
        recipe = make_recipe({**asked, "remedies": settings["remedies"]})
        if decides_alone(remedy):
            decide_again(plain_folder, out, table, recipe, seed=seed)
        else:
            fit_table(table, out, recipe, seed=seed)
    return out


@cache
def plain_runs() -> Path:
    """A folder that goes with the process."""
    folder = tempfile.mkdtemp(prefix="equipoise-plain-runs-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def price_seconds(unit: Unit) -> float:
    """Five epochs of what is trained and one pass of all layers over the judged rows; states are
    there."""
    s = unit.settings
    tokens, _ = TOKENS[s["set"]]
    judged = s["validation_cap"] + s["test_cap"]
    if decides_alone(s["remedy"]):
        return 10
    if method_of(s["set"]) == "head":
        return float(8 + 0.44e-3 * tokens * judged)
    of_all_five = 5 * int(s["train_cap"]) * token_seconds() + judged * 0.12e-3
    return float(5 + tokens * of_all_five * MODELS["light"]["trained_layers"] / 5)


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    by_remedy = _by_remedy(units)
    remedies = {
        remedy: {
            name: lines_of(plain[name], seeds)
            for plain in (by_remedy.get(PLAIN_LINEAR if remedy in LINEAR else PLAIN, {}),)
            for name, seeds in sets.items()
            if name in plain
        }
        for remedy, sets in by_remedy.items()
        if remedy not in (PLAIN, PLAIN_LINEAR)
    }
    found = {remedy: {n: s for n, s in sets.items() if s} for remedy, sets in remedies.items()}
    return {
        "left_out": left_out(),
        "refused": {
            unit["name"]: unit["result"]["refused"] for unit in units if "refused" in unit["result"]
        },
        "calibration": calibration_verdict(found),
        "remedies": {
            method: {remedy: summary_of(sets) for remedy, sets in of_method(found, method).items()}
            for method in MODELS
        },
        "remedy_minus_plain": {
            remedy: {
                name: {
                    split: {measure: d.to_json() for measure, d in measures.items()}
                    for split, measures in splits.items()
                }
                for name, splits in sets.items()
            }
            for remedy, sets in found.items()
        },
    }


Splits = dict[str, dict[str, Difference]]
"""{split: {measure: remedy minus plain}}."""


def of_method(found: dict[str, dict[str, Splits]], method: str) -> dict[str, dict[str, Splits]]:
    """{remedy: {set: lines}} of the sets with that method, without remedies that have none."""
    of_each = {
        remedy: {name: splits for name, splits in sets.items() if method_of(name) == method}
        for remedy, sets in found.items()
    }
    return {remedy: sets for remedy, sets in of_each.items() if sets}


def lines_of(plain: dict[int, dict[str, Any]], remedy: dict[int, dict[str, Any]]) -> Splits:
    seeds = sorted(set(plain) & set(remedy))
    if not seeds:
        return {}
    paths = [tuple(arm[seed]["paths"]["npz"] for seed in seeds) for arm in (remedy, plain)]
    return {split: differences_in(*paths, split, RESAMPLES) for split in ("validation", "test")}


def summary_of(sets: dict[str, Splits]) -> dict[str, Any]:
    """One remedy over the sets: its gain in macro-F1, and where its interval lies on one side of 0.
    These are intervals over rows, of one seed, and there are hundreds: each by itself says little;
    what holds over the sets says more."""
    out: dict[str, Any] = {"sets": len(sets)}
    for split in ("validation", "test"):
        gains = {name: splits[split]["macro_f1"] for name, splits in sets.items()}
        out[split] = {
            "mean_gain": round(statistics.fmean(d.value for d in gains.values()), 4),
            "least_gain": round(min(d.value for d in gains.values()), 4),
            "better_on": [name for name, d in gains.items() if d.low > 0],
            "worse_on": [name for name, d in gains.items() if d.high < 0],
        }
    return out


def calibration_verdict(found: dict[str, dict[str, Splits]]) -> dict[str, Any]:
    """Whether log loss and Brier score of test rows, after any remedy and calibration, are never
    worse than plain's by more than LOSS_MARGIN: shown where the upper bound says so, broken where
    the lower bound is above 0, and open where so many rows can't tell."""
    lines = [
        {"remedy": remedy, "set": name, "measure": measure, **splits["test"][measure].to_json()}
        for remedy, sets in found.items()
        for name, splits in sets.items()
        for measure in ("log_loss", "brier")
    ]
    shown = [line for line in lines if line["high"] <= LOSS_MARGIN]
    broken = [line for line in lines if line["low"] > 0 and line["high"] > LOSS_MARGIN]
    return {
        "goal": f"upper bound of the difference to plain at most {LOSS_MARGIN}",
        "compared": len(lines),
        "shown": len(shown),
        "open": len(lines) - len(shown) - len(broken),
        "broken": broken,
    }


def table(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lines = []
    summary = summarise(units)
    of_all = [
        (method, remedy, found)
        for method, remedies in summary["remedies"].items()
        for remedy, found in remedies.items()
    ]
    for method, remedy, found in of_all:
        line: dict[str, Any] = {"method": method, "remedy": remedy, "sets": found["sets"]}
        for split in ("validation", "test"):
            line[f"{split} gain"] = f"{found[split]['mean_gain']:+.3f}"
            line[f"{split} least"] = f"{found[split]['least_gain']:+.3f}"
            line[f"{split} better/worse on"] = (
                f"{len(found[split]['better_on'])}/{len(found[split]['worse_on'])}"
            )
        lines.append(line)
    methods = list(MODELS)
    return sorted(
        lines, key=lambda line: (methods.index(line["method"]), -float(line["validation gain"]))
    )


def units_of() -> list[Unit]:
    """Set by set, so that its states stay at hand."""
    skipped = left_out()
    names = [PLAIN, *(name for name in REMEDIES if name not in {CALIBRATION, *skipped})]
    sets = {remedy: sets_of(remedy) for remedy in names}
    units = []
    for name in WORDS:
        units += [unit_of(name, r, linear=r in LINEAR) for r in names if name in sets[r]]
        if any(name in sets[remedy] for remedy in LINEAR):
            units.append(unit_of(name, PLAIN, linear=True))
    return units


def _by_remedy(units: list[dict[str, Any]]) -> dict[str, dict[str, dict[int, dict[str, Any]]]]:
    """{remedy: {set: {seed: unit}}} of the units that were run and not refused."""
    out: dict[str, dict[str, dict[int, dict[str, Any]]]] = {}
    for unit in units:
        s = unit["settings"]
        if "refused" not in unit["result"]:
            linear = s["remedy"] == PLAIN and s.get("model", {}).get("head") == "linear"
            remedy = PLAIN_LINEAR if linear else s["remedy"]
            out.setdefault(remedy, {}).setdefault(s["set"], {})[s["seed"]] = unit
    return out


BENCH = Bench(
    "single_remedies",
    units=units_of(),
    run=run_unit,
    price_seconds=price_seconds,
    summarise=summarise,
    table=table,
    about=(__doc__ or "").strip().splitlines()[0],
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
