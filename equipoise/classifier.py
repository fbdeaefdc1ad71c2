"""The scikit-learn door: `EquipoiseClassifier`, the story of a run as an estimator over texts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from equipoise.data.table import Table
from equipoise.errors import EquipoiseError
from equipoise.given import (
    amount_values,
    column_names,
    cost_settings,
    group_names,
    in_memory,
    label_values,
    name_of,
    plain,
    text_values,
    weight_values,
)
from equipoise.models.config import DEFAULT_MODEL
from equipoise.progress import shown, silent
from equipoise.recipe import Recipe, make_recipe
from equipoise.records.decision import DecisionRule
from equipoise.records.predictions import Predictions
from equipoise.records.rows import text_column
from equipoise.remedies.decisions.apply import decide, decide_class, decision_scores
from equipoise.settings import put

_PLACES = {
    "model": "model.name",
    "method": "model.method",
    "head": "model.head",
    "remedies": "remedies",
    "costs": "costs",
    "prior": "prior",
    "measure": "measure",
    "epochs": "train.epochs",
    "learning_rate": "train.learning_rate",
    "validation_share": "split.validation_share",
}
"""Where a recipe keeps what the parameter says."""

_FIXED = {"split.test_share": 0.0, "baselines": [], "keep_texts": False}
"""Who cross-validates holds out the rows to judge with, and compares estimators."""

_PHRASES = (
    ("with --out, or --force to replace it", "as run_folder, or remove that one"),
    ("with --out", "as run_folder"),
    ("--costs FILE", "costs"),
    ("--remedy temperature alone", "remedies=['temperature'] alone"),
    (
        "name one with --group, or another column with per_group_thresholds:column=NAME",
        "give the rows' groups to fit, and the remedy no column",
    ),
)
"""How advice for the command line reads here."""


class EquipoiseClassifier(ClassifierMixin, BaseEstimator):
    """A language model fine-tuned on imbalanced texts, as scikit-learn knows classifiers.

    `fit` tells the same story as `equipoise train`: duplicates are found, part of the rows is held
    out to calibrate and to place the decision, the model is trained, saved and read back. No rows
    are held out to judge with, and no baselines are run: cross-validation does both.

    model             Hub id or folder of the base model.
    method            light, full, head, lora, rslora, dora, ia3, prefix, prompt or adapter.
    head              auto, cosine, linear, native or text.
    remedies          Treatments of imbalance, as ["logit_adjusted:tau=1", "temperature"]; () for
                      none; None for what `equipoise train` does by default.
    costs             What each mistake costs: a dict as in a cost file, with labels as in y; a
                      `Costs`; a cost file's name; or an array (true, decided) in the order of
                      `classes_`.
    prior             Class shares that probabilities are given for: "train", "balanced", or a dict
                      of label to share.
    measure           What the decision is fitted for: a measure's name, or a function of yours,
                      f(labels, decided) -> value, larger is better, on arrays of class names.
    epochs            Passes over the training rows.
    learning_rate     Highest rate of the body; None: as suits the method.
    validation_share  Share of the rows held out to calibrate and decide, 0 to 1.
    settings          Any other setting of a recipe, by dotted name, as {"train.batch_rows": 16}.
    random_state      Fixes every random choice. A whole number gives the same classifier on every
                      call; None or a RandomState, another one each time.
    run_folder        Where to keep the run folder; None: nowhere. The same call on the same rows
                      goes on where a killed one stopped; another run there is refused.
    verbose           Show progress on standard error.

    classes_            Labels, sorted.
    n_features_in_      1: one column of texts.
    feature_names_in_   Its name, if X was a data frame.
    class_names_        The label's names in the run's files, in the order of `classes_`.
    manifest_           What `equipoise train` writes as run.json: rows, remedies, training, notes.
    """

    def __init__(
        self,
        *,
        model: str = DEFAULT_MODEL,
        method: str = "light",
        head: str = "auto",
        remedies: Any = None,
        costs: Any = None,
        prior: Any = "train",
        measure: Any = "macro_f1",
        epochs: int = 5,
        learning_rate: float | None = None,
        validation_share: float = 0.15,
        settings: Mapping[str, Any] | None = None,
        random_state: Any = 0,
        run_folder: Any = None,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.method = method
        self.head = head
        self.remedies = remedies
        self.costs = costs
        self.prior = prior
        self.measure = measure
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.validation_share = validation_share
        self.settings = settings
        self.random_state = random_state
        self.run_folder = run_folder
        self.verbose = verbose

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        groups: Any = None,
        sample_weight: Any = None,
        amounts: Any = None,
    ) -> Self:
        """Fine-tune on texts X (list, array, Series, or a single column) with labels y.

        groups          One name per row (customer, document): rows of one group are never both
                        trained on and held out. None or missing: the row is in no group.
        sample_weight   How much each row counts in training, 0 or more; rows of weight 0 are left
                        out altogether.
        amounts         Each row's own number, 0 or more, where `costs` are times a column, whatever
                        it is called there.
        Raises          ValueError naming every fault of the rows and settings.
        """
        texts = text_values(X, type(self).__name__)
        labels = label_values(y, len(texts), type(self).__name__)
        weights = weight_values(sample_weight, len(texts))
        names = group_names(groups, len(texts))
        prices = amount_values(amounts, len(texts))
        kept = np.flatnonzero(np.ones(len(texts)) if weights is None else weights)
        classes, codes = np.unique(labels[kept], return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"y holds one class, {name_of(classes[0])!r}, in {len(kept)} rows; "
                "a classifier needs at least two classes to train"
            )
        class_names = [name_of(label) for label in classes]
        labelled = [class_names[code] for code in codes]
        table = in_memory(texts, labelled, kept, names, weights, prices)
        with _value_errors():
            recipe = self._recipe(dict(zip(classes.tolist(), class_names, strict=True)))
            run = self._fitted_run(table, recipe)
        self.classes_ = classes
        self.class_names_ = tuple(class_names)
        self.run_ = run
        self.manifest_ = run.loaded().manifest
        self.n_features_in_ = 1
        self.__dict__.pop("feature_names_in_", None)  # of an earlier fit
        if column_names(X):
            self.feature_names_in_ = text_column(column_names(X))
        return self

    def predict(self, X: Any, *, groups: Any = None, amounts: Any = None) -> NDArray[Any]:
        """(n,) labels, decided by the run's rule: fitted offsets or costs may decide for another
        class than the most probable one. A row that the rule leaves to a person (`deferred`) gets
        the label that it would decide if it had to.

        groups    One name per row, as in `fit`, where `per_group_thresholds` decides by them.
        amounts   Each row's own number, where `costs` are times a column.
        """
        found, names = self._predictions(X, groups, amounts)
        run = self.run_.loaded()
        decided = decide_class(run.rule, found.probabilities, names, found.amounts)
        place = {name: k for k, name in enumerate(self.class_names_)}
        return np.asarray(self.classes_[[place[run.classes[k]] for k in decided]])

    def deferred(self, X: Any, *, groups: Any = None, amounts: Any = None) -> NDArray[np.bool_]:
        """(n,) whether the rule leaves the row to a person, as `costs` with `defer`, or the remedy
        `deferral`, ask for."""
        found, names = self._predictions(X, groups, amounts)
        run = self.run_.loaded()
        decided = decide(run.rule, found.probabilities, names, found.amounts)
        return np.asarray(decided == len(run.classes))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """(n, K) calibrated probabilities under the target prior, in the order of `classes_`."""
        return self._in_order(self._predictions(X, decides=False)[0].probabilities)

    def decision_function(
        self, X: Any, *, groups: Any = None, amounts: Any = None
    ) -> NDArray[np.float64]:
        """(n, K) scores of which the largest is what `predict` decides: the raw logits, moved by
        the constants per class that the decision rule adds, if any (calibrated ones, if each class
        has a calibration of its own); under a rule of costs, minus the expected cost. With two
        classes (n,): the second's less the first's, so that above 0 is the second."""
        found, names = self._predictions(X, groups, amounts)
        rule: DecisionRule = self.run_.loaded().rule
        scores = self._in_order(decision_scores(rule, found.logits, found.amounts, names))
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def save_run(self, folder: str | Path) -> Path:
        """Write the run folder, for `equipoise.load` and the command line.

        Raises ValueError if there is something in `folder` already.
        """
        check_is_fitted(self)
        path = Path(folder)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ValueError(f"{path}: holds something already; give a new folder")
        self.run_.write(path)
        return path

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags

    def _check_column(self, X: Any) -> None:
        """Raises ValueError if X names its column otherwise than X in `fit` did."""
        seen, named = list(getattr(self, "feature_names_in_", ())), column_names(X)
        if seen and named and seen != named:
            raise ValueError(
                "The feature names should match those that were passed during fit: X has the "
                f"column {named[0]!r}, fit saw {seen[0]!r}"
            )

    def _predictions(
        self, X: Any, groups: Any = None, amounts: Any = None, *, decides: bool = True
    ) -> tuple[Predictions, NDArray[np.object_] | None]:
        """The predictions, and the names of the rows' groups."""
        check_is_fitted(self)
        texts = text_values(X, type(self).__name__)
        self._check_column(X)
        names = group_names(groups, len(texts))
        prices = amount_values(amounts, len(texts))
        run = self.run_.loaded()
        if not decides:  # probabilities depend on neither
            names = text_column([None] * len(texts))
            prices = None if run.rule.cost_factors is None else np.zeros(len(texts))
        with _value_errors():
            found: Predictions = run.predict(texts.tolist(), groups=names, amounts=prices)
        return found, names

    def _in_order(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Columns of the run, whose classes are sorted by name, in the order of `classes_`."""
        place = {name: k for k, name in enumerate(self.run_.loaded().classes)}
        return columns[:, [place[name] for name in self.class_names_]]

    def _recipe(self, names: Mapping[Any, str]) -> Recipe:
        """names   Label to its name in the run."""
        given: dict[str, Any] = {p: getattr(self, p) for p in _PLACES}
        if callable(self.measure):
            given["measure"] = None
        given["remedies"] = [self.remedies] if isinstance(self.remedies, str) else self.remedies
        given["costs"] = cost_settings(self.costs, names)
        if isinstance(self.prior, Mapping):
            given["prior"] = {names.get(k, str(k)): share for k, share in self.prior.items()}
        settings: dict[str, Any] = {}
        faults: list[str] = []
        for parameter, place in _PLACES.items():
            if given[parameter] is not None:
                put(settings, place, plain(given[parameter]), faults)
        for place, value in (self.settings or {}).items():
            own = [parameter for parameter, taken in _PLACES.items() if taken == place]
            if own:
                faults.append(f"settings: {place} is the parameter {own[0]}; give it there")
            elif place in _FIXED:
                faults.append(f"settings: {place} can't be set here; leave it out")
            else:
                put(settings, str(place), plain(value), faults)
        for place, value in _FIXED.items():
            put(settings, place, value, faults)
        if faults:
            raise ValueError("\n".join(faults))
        return make_recipe(settings)

    def _fitted_run(self, table: Table, recipe: Recipe) -> _KeptRun:
        from equipoise.fit import fit_table  # imports torch, as the next
        from equipoise.models.quiet import own_draws, quiet_libraries

        seed = self.random_state
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31)
        with (
            own_draws(),
            quiet_libraries(),
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own,
            shown() if self.verbose else nullcontext(silent) as progress,
        ):
            folder = Path(own) / "run" if self.run_folder is None else Path(self.run_folder)
            chosen = self.measure if callable(self.measure) else None
            run = fit_table(
                table, folder, recipe, seed=int(seed), progress=progress, measure=chosen
            )
            kept = _KeptRun(run.folder)
            kept.loaded(run.folder)
        return kept


class _KeptRun:
    """A run's files as bytes, and the model read from them.

    The files are what is pickled and copied, so that neither needs a folder that may be gone, nor
    a class of torch or transformers that may have changed. PEFT methods keep what they added
    alone: their base model must be there where the model is read back.
    """

    def __init__(self, folder: Path) -> None:
        self.files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        self._loaded: Any = None

    def loaded(self, folder: Path | None = None) -> Any:
        """The `LoadedRun`, read when it is first asked for, from `folder` if it is still there."""
        if self._loaded is None:
            from equipoise.load import load  # imports torch, as the next
            from equipoise.models.quiet import quiet_libraries

            with quiet_libraries(), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own:
                if folder is None:
                    self.write(Path(own))
                self._loaded = load(folder or own)
        return self._loaded

    def write(self, folder: Path) -> None:
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files, "_loaded": None}


@contextmanager
def _value_errors() -> Iterator[None]:
    """What the user can mend, as scikit-learn's kind of error, in the words of this door."""
    try:
        yield
    except EquipoiseError as error:
        faults = list(error.faults)
        for place, fault in enumerate(faults):
            for said, here in _PHRASES:
                fault = fault.replace(said, here)
            faults[place] = fault
        raise ValueError("\n".join(faults)) from error
