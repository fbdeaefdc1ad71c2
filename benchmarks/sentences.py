"""What each benchmark's result says in a sentence, for docs/figures.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Summary = dict[str, Any]


def sentence(name: str, result: dict[str, Any]) -> str:
    """Its own, if the summary holds one; "" where there is nothing to say."""
    summary: Summary = result["summary"] or {"units": result["units"]}
    if "says" in summary:
        return str(summary["says"])
    return SAYS[name](summary) if name in SAYS else ""


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


def _precision(s: Summary) -> str:
    ratio = s["float32_over_bf16"]
    has = " and ".join(s["instructions"]) or "no instructions for bf16"
    return (
        f"processor with {has}: in float32 training takes {ratio['training_seconds']:.2f} times "
        f"the seconds of bf16, the whole command {ratio['cpu_seconds']:.2f} times the processor"
    )


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


def _single(s: Summary) -> str:
    said = [_best_and_least(method, found) for method, found in s["remedies"].items() if found]
    if not said:
        return ""
    calibration = s["calibration"]
    return (
        f"mean gain of macro-F1 on validation rows: {'; '.join(said)}; calibrated, "
        f"{calibration['shown']} of {calibration['compared']} log losses and Brier scores are "
        f"shown to be no worse than plain's, {len(calibration['broken'])} are worse"
    )


def _best_and_least(method: str, found: dict[str, Any]) -> str:
    gains = {remedy: one["validation"]["mean_gain"] for remedy, one in found.items()}
    ends = max(gains, key=gains.__getitem__), min(gains, key=gains.__getitem__)
    best, least = (
        f"{remedy} ({gains[remedy]:+.3f}, test {found[remedy]['test']['mean_gain']:+.3f})"
        for remedy in ends
    )
    return f"by {method}, of {len(gains)} remedies, most by {best}, least by {least}"


def _generation(s: Summary) -> str:
    said = []
    for condition, chosen in s["chosen"].items():
        arms = s["conditions"][condition]
        bleu = arms[chosen["arm"]]["minus_plain"]["bleu"]
        met = s[f"target_met_{condition}"]
        said.append(
            f"{condition}: {len(met)} of {len(arms)} arms meet the target; by validation "
            f"{chosen['arm']}, BLEU less plain's {_gap(bleu, arms[chosen['arm']]['rare'])} of the "
            f"rarest category, {_gap(bleu, 'overall')} of all rows"
        )
    return "; ".join(said)


def _label_text(s: Summary) -> str:
    return "macro-F1: " + "; ".join(
        f"{name} " + ", ".join(f"{arm} {found['macro_f1']:.3f}" for arm, found in arms.items())
        for name, arms in s["sets"].items()
    )


def _forgetting(s: Summary) -> str:
    kept = ", ".join(
        f"{arm} {s['arms'][arm]['forgotten']:+.3f} and {s['arms'][arm]['macro_loss']:.3f}"
        for arm in dict.fromkeys(("plain", *s["not_dominated"]))
        if arm in s["arms"]
    )
    return f"nats a token forgotten, and the task's loss: {kept}"


def _sft_speed(s: Summary) -> str:
    return "; ".join(
        f"{where}: {name} {found['ratio']:.2f} times the tokens a second of {found['against']}, "
        f"{found['memory_ratio']:.2f} times its memory"
        for where, arms in s.items()
        for name, found in arms.items()
        if name != "profiles"
    )


def _merge_speed(s: Summary) -> str:
    peaks, of_cat = s["select_peak_mb"], s["select_of_cat"]
    theirs = ", ".join(f"{r:.1f} of {k}" for k, r in s["mergekit_over_average"].items())
    return (
        f"selection of {', '.join(peaks)} models: {', '.join(map(str, peaks.values()))} MB above "
        f"the import, {', '.join(f'{r:.2f}' for r in of_cat.values())} times the bytes a second of "
        f"cat; mergekit's linear takes so many times the seconds of the average: {theirs or 'none'}"
    )


def _merge_equality(s: Summary) -> str:
    return (
        f"{'the same bytes throughout' if s['same_bytes'] else 'OTHER BYTES'}; killed "
        f"{s['killed']} times, {s['whole_but_wrong']} merges looked whole and were not"
    )


def _merge_exactness(s: Summary) -> str:
    return "every value agrees with mergekit's" if s["agree"] else "SOME VALUES DISAGREE"


def _merge_adapters(s: Summary) -> str:
    return "; ".join(
        f"{name.replace('_over_', ' over ').replace('_', ' ')}: "
        + ", ".join(f"{ratio:.1f} of {count}" for count, ratio in found.items())
        for name, found in s.items()
    )


def _gap(cells: dict[str, Any], name: str) -> str:
    d = cells.get(name)
    return "too few rows" if d is None else f"{d['value']:+.2f} [{d['low']:.2f}, {d['high']:.2f}]"


SAYS: dict[str, Callable[[Summary], str]] = {
    "audit_findings": _audit,
    "costs": _costs,
    "coverage": _coverage,
    "deciding": _rules,
    "defaults": _variants,
    "depth": _depth,
    "forgetting": _forgetting,
    "generation": _generation,
    "judging_speed": _slowest,
    "label_text": _label_text,
    "merge_adapters": _merge_adapters,
    "merge_equality": _merge_equality,
    "merge_exactness": _merge_exactness,
    "merge_speed": _merge_speed,
    "precision": _precision,
    "real_input": _first,
    "rows_speed": _rows_speed,
    "scale": _scale,
    "sft_speed": _sft_speed,
    "single_remedies": _single,
    "text_coverage": _text_coverage,
    "tiny_base": _base,
}
"""A sentence out of the summaries that hold none; where there is no summary, out of the units."""
