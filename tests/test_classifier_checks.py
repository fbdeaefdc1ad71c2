"""scikit-learn's own checks of estimators, run on ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sklearn

from equipoise import EquipoiseClassifier
from tests.sklearn_checks import (
    PASSED,
    SKIPPED,
    WordedClassifier,
    all_checks,
    estimator_for_checks,
    save_worded_base,
)
from tests.tiny_estimator import frozen_heap

CHECKS = dict(all_checks())


@pytest.fixture(scope="module", autouse=True)
def _frozen_heap() -> Iterator[None]:
    with frozen_heap():
        yield


@pytest.fixture(scope="module")
def worded_base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_worded_base(tmp_path_factory.mktemp("base") / "worded"))


def test_every_check_is_named_as_passed_or_skipped_with_its_reason() -> None:
    named = [*PASSED, *SKIPPED]
    assert len(named) == len(set(named))
    if sklearn.__version__.startswith("1.9."):  # other versions have others
        assert sorted(named) == sorted(CHECKS)
    assert len(PASSED) >= 25
    assert all(reason.endswith(".") for reason in SKIPPED.values())


@pytest.mark.parametrize("name", [name for name in PASSED if name in CHECKS])
def test_scikit_learn_check(name: str, worded_base: str) -> None:
    CHECKS[name](estimator_for_checks(worded_base))


def test_the_adapter_is_the_estimator() -> None:
    """The checks speak for the estimator: the adapter only turns numbers into words."""
    own = {name for name in vars(WordedClassifier) if not name.startswith("__")}
    assert own - {"fit", "predict", "predict_proba", "decision_function", "_worded"} <= {
        "set_fit_request",
        "set_score_request",
        "set_predict_request",
        "set_decision_function_request",
        "_sklearn_auto_wrap_output_keys",
        "_doc_link_module",
    }
    assert WordedClassifier.__init__ is EquipoiseClassifier.__init__
