"""Every remedy by name: the four folders' tables in one. Importing it imports torch."""

from __future__ import annotations

from equipoise.remedies.batches import BATCHES
from equipoise.remedies.decisions.table import DECISIONS
from equipoise.remedies.losses import LOSSES
from equipoise.remedies.losses.binary_table import BINARY_LOSSES
from equipoise.remedies.losses.wrapping import WRAPPERS
from equipoise.remedies.remedy import Kind, Moment, Remedy, RemedySpec
from equipoise.remedies.rows import ROWS

__all__ = ["REMEDIES", "Kind", "Moment", "Remedy", "RemedySpec", "needs"]

REMEDIES: dict[str, Remedy] = {
    **ROWS,
    **BATCHES,
    **LOSSES,
    **BINARY_LOSSES,
    **WRAPPERS,
    **DECISIONS,
}


def needs(spec: RemedySpec, what: str) -> bool:
    """Whether the remedy wants this beside its settings, such as "measure"."""
    return what in REMEDIES[spec.name].needs
