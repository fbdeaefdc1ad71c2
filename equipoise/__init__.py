"""Equipoise: fine-tune language models on imbalanced data, and know that it worked.

The names below are the whole public door of the package; `equipoise.losses` and
`equipoise.samplers` hold what goes into other people's Trainers.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from equipoise.classifier import EquipoiseClassifier
    from equipoise.errors import EquipoiseError
    from equipoise.fit import fit
    from equipoise.load import load
    from equipoise.recipe import Recipe

__version__ = "0.1.0"
__all__ = ["EquipoiseClassifier", "EquipoiseError", "Recipe", "__version__", "fit", "load"]

_HOMES = {
    "EquipoiseClassifier": "equipoise.classifier",
    "EquipoiseError": "equipoise.errors",
    "Recipe": "equipoise.recipe",
    "fit": "equipoise.fit",
    "load": "equipoise.load",
}


def __getattr__(name: str) -> Any:
    # Names are fetched when first used: `equipoise --help` must not wait for torch.
    if name in _HOMES:
        from importlib import import_module

        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'equipoise' has no attribute {name!r}")


class _Door(ModuleType):
    """`fit` and `load` are modules too, and whoever imports one, anywhere, makes Python set the
    module as our attribute. `equipoise.load(RUN)` must find the function all the same."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Door
