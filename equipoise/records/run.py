"""The manifest of a run folder: `run.json`, written last, so that a folder with one is whole.

RUN/
  run.json               this manifest
  recipe.yaml            the recipe as resolved
  model/                 body and tokenizer, as transformers (or PEFT) loads them
  head.safetensors       the classifier head, unless the head is the model's own
  decision.json          calibration, priors and decision rule
  predictions.parquet    every validation and test row; of a run that writes, written.parquet
  scores.json            the judged split (test, or validation where there is no test)
  scores_validation.json the validation split
  history.jsonl          one line per logged step and evaluation
  order.npy              (epochs, rows) position in the fed rows at each place: the data order
  fed_rows.parquet       id of every row fed; of a made vector the row it was made from
  head_order.npy, head_rows.parquet   the same of a second training of the head, if there was one
  splits.parquet         id, split, cluster, label of every row, the row that it was made from, and
                         a mark of its text
  baselines/NAME/        predictions.parquet and scores.json of each baseline
  report.html            the report
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from equipoise.errors import FolderError
from equipoise.records.audit import AUDIT
from equipoise.records.columns import Columns
from equipoise.records.files import read_json, write_json
from equipoise.records.order import ORDER

SCHEMA = 1
WRITTEN = "written.parquet"
MANIFEST = "run.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SplitRecord(_Part):
    rows: int
    clusters: int
    """Groups of rows that stay together; as many as rows when nothing repeats."""
    counts: dict[str, int]
    """Rows per class."""
    made: int = 0
    """Of the rows, those that were made from others; only training rows are."""


class RowsRecord(_Part):
    source: str
    """The file, folder or hub name as given."""
    fingerprint: str
    """SHA-256 over ids, texts and labels in order."""
    columns: Columns
    splits: dict[str, SplitRecord]
    """"train", "validation", "test"."""
    warnings: list[str]
    """What validation found that did not stop the run."""
    notes: list[str]
    """How the rows were divided."""
    encoding: str | None = None
    """Of the file, where one was named."""


class RemedyRecord(_Part):
    name: str
    moment: Literal["rows", "batches", "loss", "decision"]
    settings: dict[str, Any]
    before: dict[str, int] | None = None
    """Training rows per class before; None where the remedy changes no rows."""
    after: dict[str, int] | None = None
    """Rows per class (rows moment), or expected draws per class and epoch (batches moment)."""
    repeats: dict[str, int] | None = None
    """Places per epoch that hold a row which the epoch has had already, by class; None where no
    sampler laid them."""
    effect: str
    """What it did here, in a sentence or two."""


class ModelRecord(_Part):
    name: str
    """Hub id or folder as given."""
    fingerprint: str
    """SHA-256 over the configuration and weights of the base model."""
    architecture: str
    parameters: int
    trained_parameters: int
    method: str
    layers: int | None
    cut: int | None
    """Layers below this number are frozen and cached; only for method "light"."""
    pooling: str
    head: str
    max_tokens: int
    truncated_rows: int
    """Training, validation and test rows longer than max_tokens, cut there."""


class TrainingRecord(_Part):
    epochs_planned: float
    epochs_run: float
    steps: int
    best_step: int | None
    """The step whose weights were kept; None: the last."""
    chosen_by: str | None
    """Measure that chose the step."""
    stopped: str | None
    """Why training ended early, in words."""
    head_epochs: float = 0
    """Of a second training of the head alone, on vectors; 0: there was none."""
    head_steps: int = 0
    precision: str = "float32"
    """Arithmetic of the body in training: "float32", "bf16" or "fp16"."""


class GeneralRecord(_Part):
    """What training did to texts unlike its rows."""

    source: str
    """Name of the file."""
    rows: int
    tokens: int
    loss_before: float
    """Nats per token of the base as it came."""
    loss_after: float
    """Nats per token of the model that was kept."""
    bits_per_byte_before: float
    bits_per_byte_after: float


class BaselineRecord(_Part):
    name: str
    """Folder below baselines/: "tfidf", "vectors" or "plain"."""
    title: str
    """"TF-IDF + balanced logistic regression"."""
    language_model: bool
    """False for TF-IDF: then a user may need no language model."""
    seconds: float
    trained_parameters: int | None = None


class Comparison(_Part):
    against: str
    """Name of a baseline."""
    measure: str
    value: float
    """This run minus the baseline, on the judged split."""
    low: float | None
    high: float | None
    """Bounds of the 95 % interval of the paired difference; None with `why`."""
    why: str | None = None
    rows: int
    says: str
    """One sentence, which says that the difference is noise where the interval holds 0."""


class Manifest(_Part):
    kind: Literal["run"] = "run"
    id: str
    """Hash of recipe, rows and seed: two runs with one id are the same run."""
    recipe_id: str
    recipe: dict[str, Any]
    seed: int
    created: str
    """UTC, ISO 8601."""
    versions: dict[str, str]
    """equipoise, python, torch, transformers, ..."""
    device: str
    rows: RowsRecord
    classes: list[str]
    remedies: list[RemedyRecord]
    default: str | None = None
    """Why these remedies, where nobody named any; None where somebody did."""
    model: ModelRecord
    training: TrainingRecord
    judged: str
    """The split that scores.json judges: "test", or "validation" with a note."""
    seconds: dict[str, float]
    """Wall seconds per stage, in order."""
    peak_memory_bytes: int
    """Largest resident size of the process; on a GPU that of the device is in `device_bytes`."""
    device_bytes: int | None = None
    general: GeneralRecord | None = None
    """Loss on general texts before and after, of a run that writes and was given such texts."""
    baselines: list[BaselineRecord]
    comparisons: list[Comparison]
    notes: list[str]
    files: dict[str, str]
    """Path within the folder to SHA-256, for every file that the folder needs."""

    @property
    def writes(self) -> bool:
        """Whether the run's target is text; else it classifies."""
        return WRITTEN in self.files


def write_manifest(folder: Path, manifest: Manifest) -> None:
    write_json(folder / MANIFEST, {"schema": SCHEMA, **manifest.model_dump(mode="json")})


def read_manifest(folder: Path) -> Manifest:
    """Raises FolderError if the folder holds no whole run."""
    if folder.is_file():
        raise FolderError(f"{folder}: is a file, not a run folder; give the folder of a run")
    if not folder.is_dir():
        raise FolderError(f"{folder}: no such folder; give the folder of a finished run")
    if not (folder / MANIFEST).exists():
        if (folder / AUDIT).exists() or (folder / ORDER).exists():
            raise FolderError(f"{folder}: holds an audit, not a run; give the folder of a run")
        raise FolderError(
            f"{folder}: holds no {MANIFEST}, so the run is missing or unfinished; "
            "run the same `equipoise train` command again to finish it"
        )
    record = read_json(folder / MANIFEST, schema=SCHEMA)
    record.pop("schema")
    try:
        return Manifest.model_validate(record)
    except ValidationError as error:
        raise FolderError(
            *(
                f"{folder / MANIFEST}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}; "
                "make the run again"
                for fault in error.errors()
            )
        ) from None
