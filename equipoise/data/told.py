"""What the user should know of how the rows were divided, as it comes up."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Told:
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """What costs many rows or a class, or makes scores mean less."""
