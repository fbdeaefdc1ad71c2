"""Merging: one model out of several, parameter by parameter.

    from equipoise import merge

    state = merge.select([one, two, three], base).state              # state dicts or modules
    merge.select(["one", "two"], "base", out="merged")               # folders

Every method takes state dicts, `nn.Module`s, folders as save_pretrained writes them, files, or
names of models on the hub; of one kind or mixed. It returns a `Merged`: a state dict, or with `out`
the folder that it wrote, and what was counted of every tensor. What can't be merged is refused with
every difference in the message. Folders are read and written a stretch at a time, so that memory
does not grow with the number of models.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from equipoise.errors import SettingsError
from equipoise.merge.asking import asked_merge
from equipoise.merge.factoring import FactorSink
from equipoise.merge.folders import merge_into_folder
from equipoise.merge.methods import METHODS
from equipoise.merge.sinks import Counted, StateSink
from equipoise.merge.sources import Model
from equipoise.merge.walk import STRETCH, merge_tensors

__all__ = [
    "METHODS",
    "Merged",
    "Model",
    "average",
    "dare",
    "dare_ties",
    "fisher",
    "merge",
    "select",
    "slerp",
    "task_arithmetic",
    "ties",
    "wise_ft",
]


@dataclass(frozen=True, eq=False)
class Merged:
    """One model out of several."""

    state: dict[str, Tensor] | None
    """The merged tensors; None if they were written into a folder."""
    folder: Path | None
    tensors: dict[str, Counted]
    """Of each tensor what `walk.merge_tensors` says."""


def merge(
    method: str,
    models: Sequence[Model],
    base: Model | None = None,
    *,
    weights: Sequence[float] | None = None,
    keys: Sequence[str] | None = None,
    importances: Sequence[Model] | None = None,
    seed: int = 0,
    rank: int | None = None,
    out: str | Path | None = None,
    threads: int | None = None,
    stretch: int = STRETCH,
    **settings: Any,
) -> Merged:
    """Merge models by a method of METHODS.

    models       In any order: they are gone through in the order of their keys.
    base         What all of them were trained from, for the methods that go by what changed.
    weights      Of each model, > 0; what they do is said with the method. None: 1 each.
    keys         Names by which models are drawn; None: their numbers as given. Models given in
                 another order with their keys make the same merge.
    importances  Of each model its Fisher information: tensors of the same names and shapes, >= 0.
    seed         Of what is drawn.
    rank         Where the models are LoRA adapters: of the adapter that comes out. None: the merge
                 is folded into the base, which is the one they name unless it is given.
    out          A folder to write, empty or new; one that a killed merge left goes on.
    threads      None: one for each core.
    stretch      Values held at a time; changes no result.
    settings     Of the method.

    Raises SettingsError, ModelError or FolderError, each with every fault found.
    """
    workers = cores() if threads is None else threads
    given = {"threads": workers, "stretch": stretch}
    small = [f"{name} is {value}; give 1 or more" for name, value in given.items() if value < 1]
    if small:
        raise SettingsError(*small)
    with asked_merge(
        *(method, models, base),
        weights=weights,
        keys=keys,
        importances=importances,
        seed=seed,
        rank=rank,
        settings=settings,
    ) as asked:
        if out is not None:
            found = merge_into_folder(asked, Path(out), threads=workers, stretch=stretch)
            return Merged(None, Path(out), found)
        sink = StateSink(asked.infos) if rank is None else FactorSink(asked)
        found = merge_tensors(asked, sink, threads=workers, stretch=stretch)
        return Merged(sink.tensors, None, found)


def cores() -> int:
    """That this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def select(
    models: Sequence[Model],
    base: Model | None = None,
    *,
    probabilities: Sequence[float] | None = None,
    resamples: int | None = None,
    tolerance: float = 0.0,
    granularity: str = "element",
    seed: int = 0,
    **how: Any,
) -> Merged:
    """Parameter selection (arXiv:2410.03743): every value is that of one model, drawn with its
    probability; with a base, drawn again where the drawn one did not move from it.

    probabilities  Of each model, of a whole of any size; None: the same.
    resamples      How often at most a value is drawn again; None: until a model is found that
                   moved, or none is left.
    tolerance      How far from the base's a value may lie and count as not moved; 0: its bits.
    granularity    What is drawn as one: "element", "row", "tensor" or "layer".
    how            What `merge` takes beside.
    """
    return merge(
        *("select", models, base),
        weights=probabilities,
        seed=seed,
        resamples=resamples,
        tolerance=tolerance,
        granularity=granularity,
        **how,
    )


def average(
    models: Sequence[Model], *, weights: Sequence[float] | None = None, **how: Any
) -> Merged:
    """The weighted average; with equal weights a uniform soup (arXiv:2203.05482)."""
    return merge("average", models, weights=weights, **how)


def task_arithmetic(
    models: Sequence[Model], base: Model, *, scale: float = 1.0, **how: Any
) -> Merged:
    """The base and scale times the weighted sum of what each model learned (arXiv:2212.04089)."""
    return merge("task_arithmetic", models, base, scale=scale, **how)


def wise_ft(model: Model, base: Model, *, share: float = 0.5, **how: Any) -> Merged:
    """A share of the way from the base to one model (arXiv:2109.01903)."""
    return merge("wise_ft", [model], base, scale=share, **how)


def ties(
    models: Sequence[Model], base: Model, *, density: float = 0.2, scale: float = 1.0, **how: Any
) -> Merged:
    """TIES: trim task vectors to a density, elect signs, average what agrees (arXiv:2306.01708)."""
    return merge("ties", models, base, density=density, scale=scale, **how)


def dare(
    models: Sequence[Model],
    base: Model,
    *,
    density: float = 0.5,
    scale: float = 1.0,
    seed: int = 0,
    **how: Any,
) -> Merged:
    """DARE: drop values of task vectors by chance, rescale the rest, average (arXiv:2311.03099)."""
    return merge("dare", models, base, density=density, scale=scale, seed=seed, **how)


def dare_ties(
    models: Sequence[Model],
    base: Model,
    *,
    density: float = 0.5,
    scale: float = 1.0,
    seed: int = 0,
    **how: Any,
) -> Merged:
    """DARE's dropping with TIES' election of signs (arXiv:2311.03099)."""
    return merge("dare_ties", models, base, density=density, scale=scale, seed=seed, **how)


def slerp(one: Model, other: Model, *, t: float = 0.5, **how: Any) -> Merged:
    """The way from one model to another along the arc between them, tensor by tensor."""
    return merge("slerp", [one, other], t=t, **how)


def fisher(models: Sequence[Model], importances: Sequence[Model], **how: Any) -> Merged:
    """The average weighted by Fisher information, value by value (arXiv:2111.09832)."""
    return merge("fisher", models, importances=importances, **how)
