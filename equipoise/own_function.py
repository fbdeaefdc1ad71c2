"""A function that the user names on the command line, as `my_measures.py:savings`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equipoise.errors import SettingsError

if TYPE_CHECKING:
    from equipoise.evaluate.deciding import DecidingMeasure


def measure_asked(text: str) -> DecidingMeasure:
    """The measure that `evaluate --measure` names: one of a class, or FILE.py:FUNCTION.

    The file is run, as `python FILE.py` would run it but for its name: only one that the user has
    named, never one that a recipe or a run names. Raises SettingsError, also for whatever the file
    itself raises.
    """
    from equipoise.evaluate.deciding import KINDS, is_deciding, own_measure, parse_measure

    file, colon, name = text.rpartition(":")
    if colon and file.endswith(".py"):
        return own_measure(_function(Path(file), name, text))
    if not is_deciding(text):
        raise SettingsError(
            f"--measure {text}: give one of a class ({', '.join(KINDS)}; docs/evaluate.md), or a "
            "function of your own as FILE.py:FUNCTION; all other measures are told anyway"
        )
    return parse_measure(text)


def _function(path: Path, name: str, text: str) -> Any:
    if not path.is_file():
        raise SettingsError(f"--measure {text}: {path} is no file; check the name")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None  # its name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise SettingsError(
            f"--measure {text}: {path} can't be run ({type(error).__name__}: {error}); mend it"
        ) from None
    if not hasattr(module, name):
        raise SettingsError(f"--measure {text}: {path} has no {name!r}; name a function in it")
    return getattr(module, name)
