"""A finished run, read back to be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from equipoise.asked import check_listed, check_table
from equipoise.data.cell_faults import faulty_rows, has_half_surrogate
from equipoise.data.check import check_rows
from equipoise.data.duplicates import cluster_rows
from equipoise.data.raw import listing
from equipoise.data.table import IN_MEMORY, Table
from equipoise.errors import DataError, FolderError, SettingsError
from equipoise.evaluate.deciding import (
    OWN,
    DecidingMeasure,
    OwnFunction,
    is_deciding,
    own_measure,
    parse_measure,
)
from equipoise.evaluate.judge import judge
from equipoise.fitting.decide import names_of_groups, predict_given
from equipoise.fitting.given_rows import mark_faults
from equipoise.fitting.seen import seen_before
from equipoise.models.predict import predict_logits
from equipoise.models.quiet import quiet_libraries
from equipoise.models.save import LoadedClassifier, load_classifier
from equipoise.models.writing.save import load_writer
from equipoise.recipe import Recipe
from equipoise.records.decision import DecisionRule, read_decision
from equipoise.records.files import file_sha256
from equipoise.records.predictions import Predictions
from equipoise.records.rows import Column, Rows, text_column
from equipoise.records.run import Manifest, read_manifest
from equipoise.records.scores import Scores
from equipoise.remedies.decisions.apply import with_estimated_prior
from equipoise.remedies.table import REMEDIES
from equipoise.writer_run import LoadedWriterRun


class LoadedRun:
    """A run's classifier with its decision rule.

    Predicting the run's own test texts, in their order, gives `predictions.parquet` bit for bit.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, classifier: LoadedClassifier, rule: DecisionRule
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.classifier = classifier
        self.rule = rule

    @property
    def classes(self) -> tuple[str, ...]:
        return self.classifier.classes

    def predict(
        self,
        texts: Sequence[str],
        *,
        ids: Sequence[str] | NDArray[np.object_] | None = None,
        groups: Sequence[str | None] | NDArray[np.object_] | None = None,
        amounts: Sequence[float] | NDArray[np.float64] | None = None,
        estimate_prior: bool = False,
    ) -> Predictions:
        """Decisions, calibrated probabilities and raw scores, in the texts' order.

        groups          The group of each text, needed where the rule has offsets per group; texts
                        of no group (None) or an unknown one are decided by the common offsets.
        amounts         Each text's own number, 0 or more, in the user's unit: needed where the
                        rule's costs are times a column.
        estimate_prior  Decide for the class shares that these texts have, as their scores tell
                        (`prior_shift`); some hundred texts and more. False: for the shares that
                        the run was decided for.
        Raises DataError naming the texts that are empty, not text, no Unicode or (with head text,
        unless the run allows them) hold special tokens; or for a lone text in place of a list, not
        as many groups or amounts as texts, or none where the rule needs them.
        """
        check_listed(texts, "texts")
        column = text_column(list(texts))
        self._check_texts(column)
        if estimate_prior and self.rule.kind == "labels":
            raise SettingsError(
                "estimate_prior is for one class a row; this run decides several labels a row"
            )
        names = text_column(list(ids) if ids is not None else list(map(str, range(len(column)))))
        named = None if groups is None else text_column(list(groups))
        self._check_groups(named, len(column))
        numbers = None if amounts is None else np.asarray(amounts, dtype=np.float64)
        self._check_amounts(numbers, len(column))
        rule = self._rule_of_new_shares() if estimate_prior else self.rule
        logits = predict_logits(self.classifier, column)
        rule = with_estimated_prior(rule, logits) if estimate_prior else rule
        return predict_given(self.classes, rule, logits, names, named, numbers)

    def _check_texts(self, column: Column) -> None:
        bad = [i for i, t in enumerate(column, 1) if not isinstance(t, str) or not t.strip()]
        if bad:
            raise DataError(f"texts: nothing, or no text, in {listing(bad)}; leave them out")
        halves = faulty_rows(column.tolist(), has_half_surrogate)
        if halves:  # tokenizers refuse the whole batch, and don't say which text it was
            raise DataError(
                f"text with half a surrogate pair in {listing(halves)}; it is no character: write "
                "the pair, or the character itself"
            )
        recipe = Recipe.model_validate(self.manifest.recipe)
        if recipe.model.head == "text":
            marks = mark_faults(Rows(column, column), recipe, self.classifier.tokenizer)
            if marks:
                raise DataError(*marks)

    def _rule_of_new_shares(self) -> DecisionRule:
        """Without the offsets that training has earned: whoever asks for the shares of the rows
        wants decisions under them. Raises SettingsError where offsets were asked for."""
        if self.rule.kind != "offsets":
            return self.rule
        fitted = {REMEDIES[s.name].kind for s in Recipe.model_validate(self.manifest.recipe).specs}
        if fitted & {"offsets", "group_offsets"}:
            raise SettingsError(
                "estimate_prior: this run decides by offsets that were made for the class shares "
                "of its own rows, and hold for no others; train with --remedy temperature "
                "--remedy prior_shift"
            )
        return replace(self.rule, kind="argmax", offsets=np.zeros_like(self.rule.offsets))

    def _labels(self, rows: Rows, source: str) -> Column:
        """Labels as the run decides them. A run of several labels a row takes a single name as the
        only label of its row."""
        assert rows.labels is not None
        if self.rule.kind == "labels" and not rows.several:
            return text_column([(label,) for label in rows.labels])
        if self.rule.kind != "labels" and rows.several:
            raise DataError(
                f"{source}: rows may have several labels, and the run decides one class a row; "
                "give one label a row, or judge a run that was trained on several"
            )
        return rows.labels

    def _deciding(
        self, trained: str, asked: OwnFunction | DecidingMeasure | str | None
    ) -> DecidingMeasure | None:
        """What judges beside all else: what is asked for, or the run's own measure if it is one of
        a class. A Python function is not kept with the run."""
        if asked is None:
            known = is_deciding(trained) and not trained.startswith(f"{OWN}:")
            return parse_measure(trained) if known else None
        if isinstance(asked, str):
            asked = parse_measure(asked)
        found = asked if isinstance(asked, DecidingMeasure) else own_measure(asked)
        if self.rule.kind == "labels":
            raise SettingsError(
                f"measure {found.text}: is for one class a row; this run decides several labels"
            )
        if found.of and found.of not in self.classes:
            raise SettingsError(
                f"measure {found.text}: the run knows no class {found.of!r}; known are "
                f"{', '.join(self.classes)}"
            )
        return found

    def groups_of(self, rows: Rows, table: Table) -> Column | None:
        """(n,) the group of each of the table's rows by which the run decides; None where it
        decides all alike. Raises DataError if the rows don't tell."""
        if not self.rule.group_offsets:
            return None
        column = self.rule.group_column
        by_role = table.columns.get("group") == (column,)  # `--group` names the same column
        found = names_of_groups(rows, "" if by_role else column)
        if found is not None:
            return found
        needs = "by which the run decides (per_group_thresholds)"
        empty = "a row with nothing there is decided by the common offsets"
        if column:
            raise DataError(f"{table.source}: has no column {column!r}, {needs}; add it: {empty}")
        raise DataError(
            f"{table.source}: has no group column, {needs}; name it with --group, or add "
            f"{self._trained_groups()}: {empty}"
        )

    def _trained_groups(self) -> str:
        """The group columns by their names in training, where they came from a file."""
        columns = self.manifest.rows.columns
        if self.manifest.rows.source == IN_MEMORY:
            return "one"
        return " and ".join(repr(name) for name in columns.get("group", ())) or "one"

    def _check_groups(self, groups: Column | None, rows: int) -> None:
        if groups is None and self.rule.group_offsets:
            raise DataError(
                "this run decides by group (per_group_thresholds); give groups, one per text: "
                "None, as for a text of no group, is decided by the common offsets"
            )
        if groups is not None and len(groups) != rows:
            raise DataError(f"{len(groups)} groups for {rows} texts; give one per text")

    def _check_amounts(self, amounts: NDArray[np.float64] | None, rows: int) -> None:
        """Before the texts are read by the model, which may take hours."""
        table = self.rule.cost_table
        if table is not None and table.factor is not None:
            table.amounts_for(rows, amounts)
        elif amounts is not None and amounts.shape != (rows,):
            raise DataError(f"amounts of shape {amounts.shape} for {rows} texts; give one per text")

    def evaluate(
        self,
        table: Table,
        *,
        seed: int = 0,
        estimate_prior: bool = False,
        measure: OwnFunction | DecidingMeasure | str | None = None,
    ) -> tuple[Predictions, Scores]:
        """Predict and judge labelled rows that the run has not seen; all parts of a folder
        together. `warnings` of the scores hold those of reading, and tell of rows that it has seen.

        estimate_prior  As in `predict`, without a look at the labels.
        measure         A further measure, in place of the run's: a function
                        f(labels, decided) -> value, or one of a class as in `train --measure`.
        Raises DataError if rows have faults or lack the groups by which the run decides,
        SettingsError if the measure can't judge this run.
        """
        check_table(table)
        recipe = Recipe.model_validate(self.manifest.recipe)
        deciding = self._deciding(recipe.measure, measure)
        rows = table.joined(ids_apart=True)
        if rows.written:
            raise DataError(
                f"{table.source}: holds rows to be written, and this run classifies; give rows "
                "with a text and a label"
            )
        check_rows(table, trains=False)
        if rows.labels is None:
            raise DataError(f"{table.source}: has no labels; name the column with --label")
        labels = self._labels(rows, table.source)
        seen = seen_before(self.folder, rows, chose="chose the decision rule")
        given = self.predict(
            rows.texts.tolist(),
            ids=rows.ids,
            groups=self.groups_of(rows, table),
            amounts=rows.amounts,
            estimate_prior=estimate_prior,
        )
        groups = None if rows.groups is None else rows.groups.tolist()
        labelled = Predictions(
            classes=given.classes,
            ids=given.ids,
            splits=given.splits,
            folds=given.folds,
            groups=given.groups if rows.groups is None else rows.groups,
            clusters=cluster_rows(rows.texts.tolist(), groups, threshold=recipe.split.threshold),
            labels=labels,
            decided=given.decided,
            logits=given.logits,
            probabilities=given.probabilities,
            amounts=rows.amounts,
        )
        costs = recipe.stated_costs
        scores = judge(
            labelled,
            split="given",
            costs=None if costs is None else costs.table(self.classes),
            deciding=deciding,
            trained_counts=self.manifest.rows.splits["train"].counts,
            seed=seed,
        )
        return labelled, replace(scores, warnings=(*table.warnings, *seen))


def load(folder: str | Path, *, device: str | None = None) -> LoadedRun | LoadedWriterRun:
    """Read a finished run: a LoadedRun of one that classifies, a LoadedWriterRun of one that
    writes. Raises FolderError if the folder holds none, or files of it are missing or broken, and
    ModelError if the base model of a PEFT method is not there."""
    path = Path(folder)
    manifest = read_manifest(path)
    try:
        with quiet_libraries():
            if manifest.writes:
                return LoadedWriterRun(path, manifest, load_writer(path, device=device))
            classifier = load_classifier(path, device=device)
            return LoadedRun(path, manifest, classifier, read_decision(path / "decision.json"))
    except Exception as error:
        # Whatever a library makes of a broken file; ours to mend if every file is as written.
        damaged = _damaged(path, manifest)
        if not damaged:
            raise
        raise FolderError(*damaged) from error


def _damaged(folder: Path, manifest: Manifest) -> list[str]:
    """Files that are not as the run wrote them."""
    found = []
    for name, digest in manifest.files.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{path}: missing; copy the whole folder, or make the run again")
        elif file_sha256(path) != digest:
            found.append(f"{path}: changed or broken since the run was made; make the run again")
    return found
