"""The order of advice, and which of it can be followed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from equipoise.records.audit import Advice, Stance

_ORDER: dict[Stance, int] = {"try first": 0, "try": 1, "not here": 2}


def in_order(made: Iterable[Advice], known: Sequence[str] | None) -> list[Advice]:
    """What to try first, what else, and what not here; what asks for a remedy that is not in
    `known` is left out. None: all are known."""
    kept = [a for a in made if known is None or set(_remedies(a.option)) <= set(known)]
    return sorted(kept, key=lambda advice: _ORDER[advice.stance])


def _remedies(option: str) -> list[str]:
    """
    >>> _remedies("--costs C.yaml --remedy temperature --remedy smote:k=3")
    ['temperature', 'smote']
    """
    words = option.split()
    asked = [words[k + 1] for k, word in enumerate(words) if word == "--remedy"]
    return [name.partition(":")[0] for name in asked]
