"""What an audit found: the record behind the text, the page and `audit.json`.

DIR/
  audit.json   this record
  report.html  the page made from it
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from equipoise.errors import FolderError
from equipoise.records.audit_context import Drift, Groups, Language, Lengths, Spoken
from equipoise.records.audit_labels import CoOccurrence
from equipoise.records.audit_written import Answers
from equipoise.records.columns import Columns
from equipoise.records.files import read_json, write_json

SCHEMA = 1
AUDIT = "audit.json"

Weight = Literal["serious", "look", "note"]
"""How much a finding matters: it spoils what is learned or judged; it deserves a look; it is good
to know."""
Stance = Literal["try first", "try", "not here"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Example(_Part):
    """One telling row."""

    id: str
    part: str
    """The given part it came in: "all", "train", "validation" or "test"."""
    label: str
    text: str | None
    """Cut to a few hundred characters; None where texts were not to be kept."""
    note: str
    """What is telling about it."""


class Finding(_Part):
    """One thing that is wrong with the rows, or good to know."""

    kind: str
    """"leak", "conflict", "label_errors", "too_small", ...: the names in docs/audit.md."""
    weight: Weight
    says: str
    """One line with counts."""
    do: str
    """What to do about it."""
    rows: int
    """Rows concerned; 0 where it concerns none in particular."""
    classes: list[str]
    p: float | None = None
    """Of the test that let it be named; None where nothing was left to chance."""
    examples: list[Example] = []


class ClassFacts(_Part):
    name: str
    counts: dict[str, int]
    """Rows in each given part."""
    train: int
    """Rows that would train."""
    share: float
    """Of the rows that would train, 0 to 1; where a row may have several labels the shares of all
    classes add up to more."""
    effective: float
    """Effective number of samples, (1 - beta^n) / (1 - beta)."""
    independent: int
    """Training rows once those that repeat, look alike or share a group are counted as one."""


class Balance(_Part):
    """How unequal the classes are, by the rows that would train."""

    classes: int
    trained: int
    """Classes with a training row."""
    largest: str
    smallest: str
    ratio: float
    """Largest to smallest class."""
    entropy: float
    """Nats."""
    evenness: float
    """Entropy / log(classes): 1 when all are equally frequent."""
    effective_classes: float
    """exp(entropy): as many equally frequent classes have the same entropy."""
    beta: float


class Leak(_Part):
    judged: str
    """The part that rows were found in a second time."""
    of: str
    """The part they were found in first."""
    rows: int
    """Rows of `judged` tied to one of `of`."""
    same: int
    """Of these, by the same text (but for case, spaces and punctuation)."""
    alike: int
    """By a text that looks alike, and by no equal one."""
    group: int
    """By the group alone."""


class Repeats(_Part):
    repeated: int
    """Rows whose text occurred before, but for case, spaces and punctuation."""
    texts: int
    """Texts that occur more than once."""
    alike_pairs: int
    """Pairs of different texts that look alike."""
    conflict_texts: int
    """Texts that occur under several labels."""
    conflict_rows: int
    """Rows that hold them."""
    alike_conflicts: int
    """Pairs of look-alikes under different labels."""
    leaks: list[Leak]


class ClassNoise(_Part):
    name: str
    rows: int
    """Rows checked."""
    suspects: int
    share: float
    likely: dict[str, int]
    """What the suspects look like: class to rows, most frequent first."""


class Noise(_Part):
    """Rows whose label is contradicted by a probe that never saw them."""

    checked: int
    sure: int
    """Rows on whose class the probe and the neighbours agree."""
    rate: float
    """Share of wrong labels: that of contradicted ones where the probe is as sure as can be."""
    low: float
    high: float
    """95 % interval of it."""
    p: float
    """That it is at most 1 %, and overlap explains the rest."""
    named: bool
    """Whether that was ruled out, so that label errors are a finding."""
    suspects: int
    classes: list[ClassNoise]
    """Those with suspects, most suspects first."""
    rows: list[Example]
    """The suspects, the surest first, as far as they are listed."""


class Pair(_Part):
    """Two classes by how often their rows are taken for each other, with equal shares of both."""

    one: str
    other: str
    by_probe: float
    """Balanced error of the probe between the two, 0 to about 0.5 (a coin)."""
    by_neighbours: float
    """The same of the nearest neighbours."""
    low: float
    """Lower bound of the smaller of the two, corrected for the number of classes."""
    inseparable: bool


class Overlap(_Part):
    neighbours: int
    """Nearest neighbours of each row that were asked."""
    compared: int
    """Rows among which neighbours were looked for."""
    pairs: list[Pair]
    """The most confused pairs, the worst first."""


class ClassPower(_Part):
    name: str
    rows: int
    """Test rows."""
    worth: float
    """As many independent rows."""
    low: float | None
    high: float | None
    """95 % interval of a recall of one half, where it is widest; None without a row."""
    smallest_change: float | None
    """Smallest change of recall that a paired test shows; None where none would."""
    more_rows: int
    """Independent test rows to add until a change of `Power.change` shows; 0: there are enough."""

    @property
    def tied(self) -> bool:
        """Whether repeats or groups make its rows worth notably fewer."""
        return self.worth < 0.9 * self.rows


class Power(_Part):
    """What the rows that will judge can show."""

    split: str
    """"test", or "validation" where there is no test."""
    given: bool
    """Whether the split was given, or is the one that `equipoise train` would make."""
    change: float
    """The change that should show, a difference of recalls."""
    churn: float
    """Share of a class's rows that the better of two models gets wrong and the other right."""
    power: float
    """Chance with which the change should show."""
    macro_change: float | None
    """Smallest change of the mean recall over classes that a paired test shows."""
    classes: list[ClassPower]


class Advice(_Part):
    remedy: str
    """Name of a remedy, or of a setting of `equipoise train`."""
    stance: Stance
    why: str
    """What kind of case this is."""
    speaks_for: str
    speaks_against: str
    source: str
    option: str
    """What to add to the command."""


class Skipped(_Part):
    what: str
    why: str


class AuditRecord(_Part):
    kind: Literal["audit"] = "audit"
    created: str
    """UTC, ISO 8601."""
    source: str
    fingerprint: str
    columns: Columns
    model: str | None
    """The encoder; None where the audit had none."""
    seed: int
    costs: str | None = None
    """The file of costs."""
    encoding: str | None = None
    """Of the files, where one was named."""
    keep_texts: bool = True
    """Whether texts are quoted."""
    rows: dict[str, int]
    """In each given part."""
    roles: dict[str, int]
    """How many would train, choose and judge."""
    versions: dict[str, str]
    seconds: dict[str, float]
    findings: list[Finding]
    """Most serious first."""
    classes: list[ClassFacts]
    """Most training rows first."""
    balance: Balance
    repeats: Repeats
    noise: Noise | None = None
    overlap: Overlap | None = None
    lengths: Lengths
    language: Language | None = None
    spoken: Spoken | None = None
    """None where the base declares no language, or it can't be told."""
    groups: Groups | None = None
    drift: Drift | None = None
    power: Power | None = None
    co_occurrence: CoOccurrence | None = None
    """None where a row has one label."""
    answers: Answers | None = None
    """What rows that are written teach, whose categories stand as classes; else None."""
    advice: list[Advice]
    skipped: list[Skipped]
    """What could not be looked at, and what it needs."""
    capped: list[str]
    """Where a sample stood for all rows."""
    notes: list[str]
    """What reading, checking and dividing had to say."""
    warnings: list[str] = []
    """Those of the notes that a run on these rows would warn of."""

    @property
    def noun(self) -> Literal["class", "category"]:
        """What `classes` are to whoever reads of them."""
        return "class" if self.answers is None else "category"

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **self.model_dump(mode="json")}


def write_audit(folder: Path, audit: AuditRecord) -> None:
    write_json(folder / AUDIT, audit.to_json())


def read_audit(folder: Path) -> AuditRecord:
    """Raises FolderError if the folder holds no audit, or a broken one."""
    record = read_json(folder / AUDIT, schema=SCHEMA)
    record.pop("schema")
    try:
        return AuditRecord.model_validate(record)
    except ValidationError as error:
        raise FolderError(
            *(
                f"{folder / AUDIT}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}; "
                "make the audit again"
                for fault in error.errors()
            )
        ) from None
