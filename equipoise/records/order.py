"""What the order of the data did to a run: the record behind the text, the page and `order.json`.

DIR/
  order.json   this record
  order.html   the page made from it
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from equipoise.errors import FolderError
from equipoise.records.files import read_json, write_json

SCHEMA = 1
ORDER = "order.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Slope(_Part):
    """Change of the final loss from the first step of the first epoch to its last."""

    value: float | None
    """Nats, in the record's `unit`; below 0 where rows fed later end lower."""
    low: float | None
    high: float | None
    """Bounds of the 95 % interval; None with `why`."""
    why: str | None = None


class OrderSlopes(_Part):
    name: str
    """The class or category; of the whole run "all"."""
    rows: int
    clusters: int
    steps: int
    """Steps of the first epoch that held any of them."""
    loss: float
    """Mean final loss."""
    base_loss: float
    """Mean loss before training."""
    plain: Slope
    """Of the final loss as it is."""
    held: Slope
    """With the loss under the base held equal, and over all rows the class as well."""
    says: str
    """One sentence, which abstains where the interval of `held` holds 0."""


class Tenth(_Part):
    """Rows that were fed in one part of the first epoch."""

    since: float
    until: float
    """Places in the epoch, 0 to 1."""
    rows: int
    loss: float
    excess: float
    """Mean final loss above what the base's loss and the class would have it be."""
    low: float | None
    high: float | None
    """Bounds of the 95 % interval of `excess`."""


class OrderRecord(_Part):
    kind: Literal["order"] = "order"
    created: str
    """UTC, ISO 8601."""
    run: str
    """The folder as given."""
    run_id: str
    source: str
    """Where the rows were read from."""
    writes: bool
    unit: str
    """"nats per token" or "nats per row"."""
    base: str
    """What stands for the loss before training."""
    epochs: float
    """That the run trained."""
    steps: int
    """Of the first epoch."""
    overall: OrderSlopes
    classes: list[OrderSlopes]
    """Each class or category, most rows first."""
    tenths: list[Tenth]
    left_out: dict[str, int]
    """Training rows that could not be looked at, by why."""
    notes: list[str]
    seconds: dict[str, float]
    versions: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **self.model_dump(mode="json")}


def write_order(folder: Path, order: OrderRecord) -> None:
    write_json(folder / ORDER, order.to_json())


def read_order(folder: Path) -> OrderRecord:
    """Raises FolderError if the folder holds no such record, or a broken one."""
    record = read_json(folder / ORDER, schema=SCHEMA)
    record.pop("schema")
    try:
        return OrderRecord.model_validate(record)
    except ValidationError as error:
        raise FolderError(
            *(
                f"{folder / ORDER}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}; "
                "make the audit of the order again"
                for fault in error.errors()
            )
        ) from None
