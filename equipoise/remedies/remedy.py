"""What a table of remedies holds, and a remedy with the settings that someone asked for."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from equipoise.errors import SettingsError

Moment = Literal["rows", "batches", "loss", "decision"]
Kind = Literal[
    "choose",
    "synthesise",
    "weights",
    "row_weights",
    "sampler",
    "stage",
    "loss",
    "binary_loss",
    "wrapper",
    "rescale",
    "calibration",
    "prior",
    "offsets",
    "group_offsets",
    "costs",
    "deferral",
    "fallback",
]

Share = Annotated[float, Field(gt=0, le=1)]
"""A setting above 0 and at most 1."""
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
AtLeastOne = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Setting:
    """One keyword-only argument of a remedy's function."""

    name: str
    type: Any
    """As annotated, with its range: `Annotated[float, Field(ge=0)]`."""
    default: Any


@dataclass(frozen=True)
class Remedy:
    """One line of a table. Which arguments the function takes is fixed by its kind:

    choose       (labels, classes, rng, ...) -> (m,) index of the rows to feed
    synthesise   (labels, classes, rng, ...) -> rows.synthetic.Synthesis: rows that stay, and
                 vectors that join them to train a head
    weights      (counts, ...) -> (K,) weight per class, mean 1 over the rows as fed
    row_weights  (labels, classes, ...) -> (n,) weight per row, mean 1 over the rows as fed
    sampler      (labels, classes, epochs, rng, ...) -> (epochs, rows) row at each place
    stage        (labels, classes, epochs, rng, ...) -> batches.second_stage.HeadDraws: what the
                 head is trained on again, once the body is
    loss         (logits, labels, ...) -> (rows,) nats
    binary_loss  (logits, labels (rows, K) of 0 and 1, ...) -> (rows,) nats
    wrapper      (run, labels, weights, loss, rng, ...) -> (rows,) weight × nats; run is the pass
                 of a micro-batch through the model, see `losses/wrappers.py`
    rescale      (logits, labels, weights, log_given, log_source, ...)
                 -> ((Rescale, new log_source), note)
    calibration  (logits, labels, weights, log_shift, ...)
                 -> (temperature, or (temperature, VectorScaling | Isotonic | None); note)
    prior        (...) -> (PriorShift, note)
    offsets      (...) -> ((K,) nats added to log p before the largest is taken, note)
    group_offsets (...) -> ({group: (K,) nats}, note)
    costs        (p, costs, amounts) -> (n,) decisions
    deferral     (p, decided, costs or None, amounts, ...) -> (Defer, note)
    fallback     (p, offsets) -> (n,) the label of rows that none is set for
    """

    name: str
    moment: Moment
    kind: Kind
    function: Callable[..., Any]
    source: str
    """The paper, short."""
    corrects_prior: bool = False
    """Whether it makes up for unequal class shares."""
    needs: tuple[str, ...] = ()
    """What the function wants beside the arguments of its kind, by argument name: "counts",
    "log_prior", "vectors", "row_losses" (n,) nats per learned token under the base, "row_gains"
    (n,) what a short training takes off them, "row_seen" (n,) whether the row stood in it. All are
    of the training rows as fed; the caller gives them. A loss may name "progress", the share of
    optimizer steps done: the loop gives it on every call."""
    prior_shift: Callable[..., Any] | None = None
    """Only for a loss that corrects the prior: (counts, **settings) -> (K,) nats that it adds to
    the log prior under which softmax(logits) is a posterior; with `progress` at the last step if
    the loss needs that. For a binary loss: (labels (n, K) of
    the rows as fed, **settings) -> (K,) nats that it adds to the log-odds (`log_odds.py`)."""
    labels: Literal["one", "several", "both"] = "one"
    """How many labels a row may have where it acts: one of K classes; several of K labels, or none;
    or both. What is asked for where it can't act is refused before training."""
    settings: tuple[Setting, ...] = field(init=False)
    """Read off the signature: every keyword-only argument that is not one of `needs`."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(self.function, include_extras=True)
        object.__setattr__(
            self,
            "settings",
            tuple(
                Setting(p.name, hints[p.name], p.default)
                for p in inspect.signature(self.function).parameters.values()
                if p.kind is p.KEYWORD_ONLY and p.name not in self.needs
            ),
        )

    @property
    def may_double(self) -> bool:
        """Whether two of this sort would correct the same prior twice; see `conflicts.py`."""
        return self.corrects_prior and self.moment in ("batches", "loss") and self.kind != "stage"


@dataclass(frozen=True)
class RemedySpec:
    """A remedy as asked for: its name and every setting, defaults filled in. `spec.py` makes it."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict, hash=False)
    twice: bool = False
    """Asked for knowing that another remedy corrects the same prior."""


_COSTS = "costs (--costs FILE)"
_TO_GIVE = {
    "groups": "groups (--group COLUMN, or the setting column=NAME; in Python groups=)",
    "costs": _COSTS,
    "row_costs": _COSTS,
}
"""What to call a need that the user can see to, by argument name."""


def bind(remedy: Remedy, settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of the remedy's function: its settings, and its needs out of `given`.

    Raises SettingsError naming every need that `given` lacks.
    """
    missing = [need for need in remedy.needs if given.get(need) is None]
    if missing:
        raise SettingsError(
            *(
                f"remedy {remedy.name}: needs {_TO_GIVE.get(need, need)}, which are not at hand "
                "here; give what it needs, or leave the remedy out"
                for need in missing
            )
        )
    return {need: given[need] for need in remedy.needs} | dict(settings)


def lookup(table: Mapping[str, Remedy], spec: RemedySpec, what: str) -> Remedy:
    """The table's entry. Raises SettingsError if the remedy belongs to another folder."""
    if spec.name not in table:
        raise SettingsError(
            f"remedy {spec.name!r} is not {what}; these are: {', '.join(sorted(table))}"
        )
    return table[spec.name]
