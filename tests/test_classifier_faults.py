"""What the estimator refuses: ValueErrors, in the words of its own parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.exceptions import NotFittedError

import equipoise
from equipoise import EquipoiseClassifier
from equipoise.errors import DataError
from tests.tiny_estimator import TEXTS, TOPICS, tiny_estimator


@pytest.fixture
def tiny(tiny_base: Path) -> EquipoiseClassifier:
    return tiny_estimator(tiny_base, epochs=1)


FOUR, TWO = ["a", "b", "c", "d"], [0, 0, 1, 1]
BAD: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "one text": ("a text", [0], {}, "goes into a list"),
    "two columns": (np.array([FOUR, FOUR]).T, TWO, {}, "X has 2 features.*give the column"),
    "ragged": ([["a"], ["b", "c"]], [0, 1], {}, "X should"),
    "three axes": (np.array([[FOUR]]), TWO, {}, "3 dimensions"),
    "sparse": (csr_matrix(np.eye(4)), TWO, {}, "one text per row"),
    "no rows": ([], [], {}, r"0 sample\(s\)"),
    "a number": (["a", 3, "c", None], TWO, {}, "rows 2, 4 hold int"),
    "an empty text": (["a", "b", " ", "d"], TWO, {}, "empty text in row 3"),
    "two rows": (["a", "b"], [0, 1], {}, "no rows are left for validation"),
    "no labels": (FOUR, None, {}, "requires y to be passed"),
    "too few labels": (FOUR, [0, 1], {}, "X holds 4, y 2"),
    "one class": (FOUR, ["x"] * 4, {}, "y holds one class, 'x'"),
    "a missing label": (FOUR, ["x", None, "y", np.nan], {}, "rows 2, 4"),
    "a label that is not a number": (FOUR, [0.0, np.nan, 1.0, 1.0], {}, "y contains NaN"),
    "mixed labels": (FOUR, np.array(["x", 1, 1, "x"], dtype=object), {}, "text beside other"),
    "shares": (FOUR, [0.5, 0.1, 0.2, 0.3], {}, "Unknown label type"),
    "several labels": (FOUR, np.eye(4), {}, "1d array"),
    "negative weight": (FOUR, TWO, {"sample_weight": [1, 1, 1, -1]}, "Negative"),
    "infinite weight": (FOUR, TWO, {"sample_weight": [1, 1, 1, np.inf]}, "infinity"),
    "too few weights": (FOUR, TWO, {"sample_weight": [1]}, "sample_weight 1"),
    "weight leaves one class": (FOUR, TWO, {"sample_weight": [1, 1, 0, 0]}, "one class, '0'"),
    "too few groups": (FOUR, TWO, {"groups": ["g"]}, "groups 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_rows_are_value_errors(tiny: EquipoiseClassifier, case: str) -> None:
    X, y, more, said = BAD[case]
    with pytest.raises(ValueError, match=said) as caught:
        tiny.fit(X, y, **more)
    assert "--" not in str(caught.value)
    with pytest.raises(NotFittedError):
        tiny.predict(FOUR)


@pytest.mark.parametrize("ask", ["predict", "predict_proba", "deferred", "decision_function"])
def test_a_text_that_no_tokenizer_reads_is_named(tiny: EquipoiseClassifier, ask: str) -> None:
    """In the words of fit; tokenizers say TypeError, and not which text it was."""
    broken = [*TEXTS[:3], "\ud83d bank"]
    said = "text with half a surrogate pair in row 4"
    with pytest.raises(ValueError, match=said):
        tiny.fit([*broken, *TEXTS[4:]], TOPICS)
    tiny.fit(TEXTS, TOPICS)
    with pytest.raises(ValueError, match=said):
        getattr(tiny, ask)(broken)
    with pytest.raises(DataError, match=said):
        tiny.run_.loaded().predict(broken)


SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "epochs": ({"epochs": 0}, "train.epochs"),
    "method": ({"method": "magic"}, "model.method"),
    "remedy": ({"remedies": ["magic"]}, "magic"),
    "model": ({"model": "./nowhere"}, "nowhere"),
    "unknown setting": ({"settings": {"train.magic": 1}}, "train.magic: unknown"),
    "setting twice": ({"settings": {"train.epochs": 1}}, "is the parameter epochs"),
    "fixed": ({"settings": {"baselines": ["tfidf"]}}, "can't be set here"),
    "no costs": ({"remedies": ["costs"]}, "no costs are given; add costs$"),
    "cost class": ({"costs": {"costs": {"bank": {"boat": 2}}}}, "'boat' is not in the rows"),
    "cost shape": ({"costs": np.eye(2)}, r"expected \(3, 3\).*bank, light, music"),
    "prior class": ({"prior": {"bank": 0.5, "boat": 0.5}}, "'boat' is not in the training rows"),
    "seed": ({"random_state": -1}, "seed is -1"),
    "share": ({"validation_share": 1.5}, "validation_share"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_bad_settings_are_value_errors(tiny: EquipoiseClassifier, case: str) -> None:
    parameters, said = SETTINGS[case]
    with pytest.raises(ValueError, match=said) as caught:
        tiny.set_params(**parameters).fit(TEXTS, TOPICS)
    assert "--" not in str(caught.value)


def test_the_fault_behind_a_value_error_is_kept(tiny: EquipoiseClassifier) -> None:
    with pytest.raises(ValueError, match="epochs") as caught:
        tiny.set_params(epochs=0, validation_share=2).fit(TEXTS, TOPICS)
    assert isinstance(caught.value.__cause__, equipoise.EquipoiseError)
    assert len(str(caught.value).splitlines()) == 2
