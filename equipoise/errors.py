"""What can go wrong that a user can mend.

    EquipoiseError                 printed as `error:` lines by the command line, exit 2
    ├── DataError                  the rows are at fault: missing column, empty text, one class
    ├── SettingsError              a setting, remedy, recipe or cost matrix is at fault
    ├── ShapeError                 arrays that should fit together do not
    ├── ModelError                 a base model can't be loaded, or can't do what was asked
    ├── FolderError                a run folder is missing, half-written, or holds another run
    ├── DivergedError              training produced NaN or infinity
    └── MissingExtraError          an optional package is not installed

Anything else that escapes is our own fault, and exits 1.
"""

from __future__ import annotations


class EquipoiseError(Exception):
    """One or more faults, each a single line: what is wrong, where, and what to do next."""

    def __init__(self, *faults: str) -> None:
        if not faults:
            raise TypeError("an error names at least one fault")
        super().__init__("\n".join(faults))
        self.faults: tuple[str, ...] = faults


class DataError(EquipoiseError):
    """The rows can't be used as they are."""


class SettingsError(EquipoiseError):
    """A setting can't be used, alone or beside the others."""


class ShapeError(EquipoiseError):
    """Arrays that should fit together do not."""


class ModelError(EquipoiseError):
    """A base model can't be loaded, or can't do what was asked of it."""


class FolderError(EquipoiseError):
    """A folder does not hold what was expected there."""


class DivergedError(EquipoiseError):
    """Training produced numbers that are not finite."""


class MissingExtraError(EquipoiseError):
    """An optional package is needed and not installed."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the package {package}, which is not installed; "
            f"install it with: pip install 'equipoise[{extra}]'"
        )
