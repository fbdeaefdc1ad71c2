"""Which remedies can stand together.

Four corrections of unequal class shares act on the same figure without seeing each other: class
weights, a sampler, a weighted loss and a margin in the loss all start from the shares of the rows
as fed. Two of them correct twice, so that rare classes end up as over-represented as they were
under-represented. That is refused unless one of the two says `twice=true`.

All other pairs are harmless, for three reasons:

- remedies on rows act first, and all others take the shares of the rows as fed, so they correct
  only what is left (nothing, after oversampling with ratio 1);
- decisions start from probabilities whose prior is known exactly, whatever was done in training
  (`source.log_source`), so they do not correct what is already corrected;
- `measure_offsets` starts from the offsets of `posthoc_logit_adjustment` and fits what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from equipoise.remedies.remedy import Kind, Remedy, RemedySpec
from equipoise.remedies.table import REMEDIES

Verdict = Literal["fine", "twice", "never"]

_ONE_ONLY: dict[Kind, str] = {
    "loss": "a model is trained with one loss",
    "binary_loss": "a model is trained with one loss",
    "synthesise": "vectors are made by one remedy",
    "wrapper": "a loss is wrapped once",
    "sampler": "rows are drawn in one order",
    "calibration": "scores are calibrated once",
    "costs": "decisions are made by one cost matrix",
    "deferral": "rows are left to a person by one rule",
}
_BY_OFFSET: set[Kind] = {"rescale", "offsets", "group_offsets"}
"""Kinds that leave offsets to decide by."""
_HOW: dict[Kind, str] = {
    "weights": "weighs rare classes up",
    "row_weights": "weighs rare groups up",
    "sampler": "draws rare classes more often",
    "loss": "favours rare classes in the loss",
}


@dataclass(frozen=True)
class Pair:
    verdict: Verdict
    """"fine"; "twice": refused unless asked for twice; "never"."""
    why: str


def pair(a: Remedy, b: Remedy) -> Pair:
    """Whether two different remedies can stand together, and why. The order makes no difference."""
    if {a.labels, b.labels} == {"one", "several"}:
        return Pair("never", "one is for rows of one label, the other for rows of several")
    if a.kind == b.kind and a.kind in _ONE_ONLY:
        return Pair("never", _ONE_ONLY[a.kind])
    kinds = {a.kind, b.kind}
    if "costs" in kinds and kinds & _BY_OFFSET:
        return Pair("never", "both decide: the least expected cost leaves nothing to an offset")
    if _fixed_by_prior(a, b) or _fixed_by_prior(b, a):
        return Pair("never", "one takes the class shares out of the decision, the other sets them")
    if "prior" in kinds and kinds & {"offsets", "group_offsets"}:
        return Pair(
            "never",
            "one decides for the shares of every new set of rows, the other is fitted under those "
            "of validation rows",
        )
    if _both_take_costs(a, b) or _both_take_costs(b, a):
        return Pair("never", "both lean towards what saves costs: one matrix, two cures")
    if a.may_double and b.may_double:
        return Pair("twice", f"one {_HOW[a.kind]}, the other {_HOW[b.kind]}: one prior, two cures")
    if "stage" in kinds and {a.moment, b.moment} <= {"batches", "loss"}:
        return Pair("fine", "the head is trained again on shares of its own, which count alone")
    if a.moment == b.moment == "rows":
        return Pair("fine", "the second acts on the rows that the first left")
    if "rows" in (a.moment, b.moment):
        return Pair("fine", "shares are counted after the rows are chosen")
    if a.kind == b.kind == "offsets":
        return Pair("fine", "the second starts from the offsets of the first")
    if a.corrects_prior and b.corrects_prior:
        return Pair("fine", "the decision knows which prior training has left")
    return Pair("fine", "they do different things")


def _both_take_costs(a: Remedy, b: Remedy) -> bool:
    """A loss that is trained to save costs, and weights by cost or the decision that saves them."""
    return a.kind == "loss" and "costs" in a.needs and (b.kind == "costs" or "row_costs" in b.needs)


def _fixed_by_prior(a: Remedy, b: Remedy) -> bool:
    """Offsets made of the target prior, and what changes it or has taken the shares out already."""
    return a.kind == "offsets" and "log_target" in a.needs and b.kind in ("prior", "rescale")


def conflicts(specs: Sequence[RemedySpec]) -> list[str]:
    """One line for every pair of the remedies asked for that can't stand together."""
    faults = []
    for a, b in combinations(specs, 2):
        if a.name == b.name:
            faults.append(f"remedy {a.name} is named twice; keep one")
            continue
        found = pair(REMEDIES[a.name], REMEDIES[b.name])
        if found.verdict == "never":
            faults.append(f"remedies {a.name} and {b.name} exclude each other: {found.why}")
        elif found.verdict == "twice" and not (a.twice or b.twice):
            faults.append(
                f"remedies {a.name} and {b.name} correct the same class shares twice ({found.why});"
                f" keep one, or say that you mean it: {b.name}:twice=true"
            )
    return faults


def pairs_table() -> str:
    """All pairs of remedies that exclude each other, as a Markdown table with a line for all that
    one remedy is refused beside for one reason; below it, why others that correct the prior too
    stand together."""
    refused: dict[tuple[str, str, str], list[str]] = {}
    fine: dict[str, int] = {}
    says = {"twice": "unless `twice=true`", "never": "always"}
    for a, b in combinations(REMEDIES.values(), 2):
        if {a.labels, b.labels} == {"one", "several"}:
            continue  # a sentence says it of all of them
        found = pair(a, b)
        if found.verdict != "fine":
            refused.setdefault((a.name, says[found.verdict], found.why), []).append(b.name)
        elif a.corrects_prior and b.corrects_prior:
            fine[found.why] = fine.get(found.why, 0) + 1
    lines = ["| remedy | is refused beside | when | why |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{name}` | {', '.join(f'`{other}`' for other in others)} | {when} | {why} |"
        for (name, when, why), others in refused.items()
    ]
    lines += ["", "Others correct the same shares and stand together:", ""]
    lines += [f"- {why} ({count} pairs)" for why, count in fine.items()]
    return "\n".join(lines)
