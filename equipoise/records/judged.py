"""What a judge model said of a run's texts beside another's, and what it cost; `judged.json`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from equipoise.errors import FolderError
from equipoise.records.files import read_json, write_json
from equipoise.records.scores import Estimate

JUDGED = "judged.json"
ANSWERS = "judge_answers.jsonl"
"""Every answer as it came: what is there is not asked, nor paid, again."""
SENT: dict[str, Any] = {"temperature": 0}
"""Fields of each question's request where nobody names others. Reasoning models refuse them."""
SCHEMA = 1


@dataclass(frozen=True)
class Agreement:
    pairs: int
    """Pairs with a verdict of both."""
    same: Estimate
    """Share of them with the same verdict."""
    kappa: Estimate
    """Cohen's kappa: 1 always the same, 0 as often as by chance."""

    def to_json(self) -> dict[str, Any]:
        return {
            "pairs": self.pairs,
            "same": self.same.to_json(),
            "kappa": self.kappa.to_json(),
        }


@dataclass(frozen=True)
class JudgeReport:
    """What a judge model said of pairs, and what it cost."""

    model: str
    pairs: int
    asked: int
    """Of the pairs those whose texts differ; the others are ties, and nobody is asked."""
    verdicts: dict[str, str]
    """By pair: "a", "b" or "tie", of the pairs of which both orders were answered."""
    preference: Estimate
    """Share of pairs in which b is better, a tie counting half; over all rows, each pair counting
    as its weight says."""
    macro_preference: Estimate
    """Its mean over categories."""
    categories: dict[str, Estimate]
    consistent: Estimate
    """Share of asked pairs in which both orders gave the same verdict."""
    first_favoured: Estimate
    """Share of the answers that were no tie in which the text that stood first won; 0.5 is fair."""
    agreement: Agreement | None
    """With people's verdicts, where they were given."""
    refused: int
    """Answers in which the model declined to judge."""
    unreadable: int
    """Answers without a verdict, asked again in vain."""
    unanswered: int
    """Questions that no try got an answer to; asking again asks them again."""
    asked_now: int
    """Requests made by this call; the other answers were on file."""
    prompt_tokens: int
    """Of all answers, those on file too."""
    completion_tokens: int
    cost: float | None
    """In the price's currency, of all answers; None where no price was given."""
    spent_now: float | None
    """The part of it that this call spent."""

    def to_json(self) -> dict[str, Any]:
        plain = {
            name: value.to_json() if isinstance(value, Estimate | Agreement) else value
            for name, value in vars(self).items()
        }
        plain["categories"] = {name: e.to_json() for name, e in self.categories.items()}
        return plain


@dataclass(frozen=True)
class JudgedRun:
    """A judge model's verdict on the texts of a run (b) beside those of a baseline (a)."""

    run: str
    """Id of the run."""
    against: str
    """Name of the baseline."""
    split: str
    endpoint: str
    """Its address; never a key."""
    report: JudgeReport
    options: dict[str, Any] = field(default_factory=lambda: dict(SENT))
    """Fields of each question's request, such as the temperature."""

    def to_json(self) -> dict[str, Any]:
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "report"}
        return {"schema": SCHEMA, **own, **self.report.to_json()}


def write_judged(path: Path, record: JudgedRun) -> None:
    write_json(path, record.to_json())


def read_judged(path: Path) -> JudgedRun:
    """Raises FolderError if the file is missing, broken, or not such a record."""
    record = read_json(path, schema=SCHEMA)
    record.setdefault("options", dict(SENT))  # of verdicts from when there was no choice
    record.setdefault("asked", record.get("pairs"))  # from when pairs that are alike were not told
    try:
        own = {f.name: record.pop(f.name) for f in fields(JudgedRun) if f.name != "report"}
        del record["schema"]
        for name in ("preference", "macro_preference", "consistent", "first_favoured"):
            record[name] = Estimate(**record[name])
        record["categories"] = {k: Estimate(**e) for k, e in record["categories"].items()}
        if (told := record["agreement"]) is not None:
            same, kappa = (Estimate(**told[name]) for name in ("same", "kappa"))
            record["agreement"] = Agreement(told["pairs"], same, kappa)
        return JudgedRun(**own, report=JudgeReport(**record))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FolderError(
            f"{path}: not a record of a judge model's verdicts ({error}); delete it, and ask again "
            "with equipoise judge"
        ) from None
