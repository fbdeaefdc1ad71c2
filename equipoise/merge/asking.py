"""What a user asks of a merge, checked: every fault at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from equipoise.errors import SettingsError
from equipoise.merge.alike import check_alike
from equipoise.merge.methods import METHODS
from equipoise.merge.methods.selection import GRANULARITIES
from equipoise.merge.opening import is_adapter, open_models
from equipoise.merge.sources import Model, Source, source_of
from equipoise.merge.walk import Asked, SubModel

Allowed = tuple[Callable[[Any], bool], str]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_ALLOWED: dict[str, Allowed] = {
    "resamples": (
        lambda n: n is None or (isinstance(n, int) and not isinstance(n, bool) and n >= 0),
        "a whole number from 0 on, or nothing for as many as there are sub-models",
    ),
    "tolerance": (lambda x: _number(x) and x >= 0, "a number from 0 on"),
    "granularity": (lambda g: g in GRANULARITIES, f"one of {', '.join(GRANULARITIES)}"),
    "scale": (_number, "a number"),
    "density": (lambda x: _number(x) and 0 < x <= 1, "a share above 0, up to 1"),
    "t": (lambda x: _number(x) and 0 <= x <= 1, "a share from 0 to 1"),
}


@contextmanager
def asked_merge(
    method: str,
    models: Sequence[Model],
    base: Model | None = None,
    *,
    weights: Sequence[float] | None = None,
    keys: Sequence[str] | None = None,
    importances: Sequence[Model] | None = None,
    seed: int = 0,
    rank: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[Asked]:
    """What is asked for, with its models open as long as the block goes on.

    Raises SettingsError with every fault of the settings, then FolderError or ModelError if models
    can't be read, or can't be merged with each other.
    """
    settings = dict(settings or {})
    faults = setting_faults(
        method,
        len(models),
        settings,
        weights=weights,
        keys=keys,
        importances=importances,
        has_base=base is not None or any(map(is_adapter, models)),
        seed=seed,
        rank=rank,
    )
    if faults:
        raise SettingsError(*faults)
    names = list(keys) if keys is not None else numbered(len(models))
    with ExitStack() as stack:
        called = [f"model {name}" for name in names]
        sources, origin = open_models(stack, models, called, base, rank)
        check_alike(sources, origin)
        trusts: list[Source | None] = [None] * len(models)
        if importances is not None:
            trusts = [
                stack.enter_context(closing(source_of(one, f"the Fisher information of {name}")))
                for one, name in zip(importances, called, strict=True)
            ]
            _check_trusts(trusts, sources)
        rates = [1.0] * len(models) if weights is None else [float(w) for w in weights]
        found = [
            SubModel(key, source, weight, trust)
            for key, source, weight, trust in zip(names, sources, rates, trusts, strict=True)
        ]
        yield Asked(method, sorted(found, key=lambda one: one.key), origin, seed, settings, rank)


def numbered(count: int) -> list[str]:
    """Names that stand in the order of their numbers.

    >>> numbered(11)[1], numbered(11)[10]
    ('01', '10')
    """
    return [str(k).zfill(len(str(count - 1))) for k in range(count)]


def setting_faults(
    method: str,
    count: int,
    settings: Mapping[str, Any],
    *,
    weights: Sequence[float] | None = None,
    keys: Sequence[str] | None = None,
    importances: Sequence[Any] | None = None,
    has_base: bool = True,
    seed: int = 0,
    rank: int | None = None,
) -> list[str]:
    """All that is wrong, a line each."""
    own = METHODS.get(method)
    if own is None:
        return [f"method {method!r}: there is none; it is one of {', '.join(METHODS)}"]
    faults = []
    fewest, most = own.sub_models
    if count < fewest or (most is not None and count > most):
        wanted = f"{fewest}" if most == fewest else f"at least {fewest}"
        faults.append(f"{method}: merges {wanted} model{'s' * (fewest != 1)}, and got {count}")
    for name, value in settings.items():
        if name not in own.settings:
            offered = ", ".join(own.settings) or "none"
            faults.append(f"{method}: has no setting {name!r}; it has {offered}")
        elif not _ALLOWED[name][0](value):
            faults.append(f"{method}: {name} is {value!r}; give {_ALLOWED[name][1]}")
    if own.needs_base and not has_base:
        faults.append(f"{method}: goes by what training changed, so it needs the base model")
    if own.needs_importance and importances is None:
        faults.append(f"{method}: needs each model's Fisher information")
    for title, given in (("weights", weights), ("keys", keys), ("importances", importances)):
        if given is not None and len(given) != count:
            faults.append(f"{title}: there are {len(given)}, and {count} models; give one for each")
    if weights is not None and not all(_number(w) and w > 0 for w in weights):
        faults.append(f"weights: are {list(weights)}; give numbers above 0, and leave out models")
    if keys is not None and len(set(keys)) != len(keys):
        faults.append(f"keys: {', '.join(keys)} are not all different")
    if not (isinstance(seed, int) and not isinstance(seed, bool)):
        faults.append(f"seed is {seed!r}; give a whole number")
    if rank is not None and not (isinstance(rank, int) and rank > 0):
        faults.append(f"rank is {rank!r}; give a whole number above 0, or nothing to fold")
    return faults


def _check_trusts(trusts: Sequence[Source | None], sources: Sequence[Source]) -> None:
    """Raises SettingsError with every tensor that has no information of its shape."""
    faults = []
    for trust, source in zip(trusts, sources, strict=True):
        assert trust is not None
        for key, info in source.infos.items():
            if not info.dtype.is_floating_point:
                continue
            theirs = trust.infos.get(key)
            if theirs is None or theirs.shape != info.shape:
                said = "lacks it" if theirs is None else f"is {list(theirs.shape)}"
                faults.append(
                    f"tensor {key}: {list(info.shape)} in {source.name}; {trust.name} {said}"
                )
    if faults:
        raise SettingsError(*faults)
