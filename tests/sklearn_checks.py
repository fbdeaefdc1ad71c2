"""scikit-learn's own checks of estimators, which hand over numbers, for one that wants texts.

`WordedClassifier` is the estimator itself with numbers turned into words on the way in; PASSED and
SKIPPED name every check that scikit-learn has for such a classifier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import check_is_fitted, validate_data

from equipoise import EquipoiseClassifier

BINS = 8
"""A number becomes one of so many words, by where it stands among the training rows."""


class WordedClassifier(EquipoiseClassifier):
    """A row [0.1, 7.0] is read as "f0q2 f1q5": column 0 in its third bin, column 1 in its sixth."""

    def fit(self, X: Any, y: Any, *, groups: Any = None, sample_weight: Any = None) -> Self:
        numbers = validate_data(self, X, dtype=np.float64)
        edges = np.quantile(numbers, np.arange(1, BINS) / BINS, axis=0)
        super().fit(_words(numbers, edges), y, groups=groups, sample_weight=sample_weight)
        self.edges_ = edges
        self.n_features_in_ = numbers.shape[1]
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        return super().predict(self._worded(X))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        return super().predict_proba(self._worded(X))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        return super().decision_function(self._worded(X))

    def _worded(self, X: Any) -> list[str]:
        check_is_fitted(self)
        return _words(validate_data(self, X, dtype=np.float64, reset=False), self.edges_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = BaseEstimator.__sklearn_tags__(self).input_tags
        return tags


def _words(numbers: NDArray[np.float64], edges: NDArray[np.float64]) -> list[str]:
    bins = (numbers[:, None, :] > edges[None, :, :]).sum(axis=1)
    return [" ".join(f"f{column}q{b}" for column, b in enumerate(row)) for row in bins.tolist()]


def estimator_for_checks(model: str = "not yet made") -> WordedClassifier:
    """No remedies: checks demand that the most probable class is what is decided, which offsets
    fitted for macro-F1 deny. No look-alikes: texts of two words differ in one word or are equal."""
    return WordedClassifier(
        model=model,
        method="head",
        epochs=3,
        learning_rate=3e-3,
        remedies=(),
        settings={"split.threshold": 1.0, "train.head_learning_rate": 3e-2},
    )


def all_checks() -> Iterator[tuple[str, Callable[[Any], None]]]:
    """Name and check: "check_estimators_pickle(readonly_memmap=True)", to be called with the
    estimator."""
    for _, check in estimator_checks_generator(estimator_for_checks()):
        options = ",".join(f"{name}={value}" for name, value in check.keywords.items())
        yield check.func.__name__ + (f"({options})" if options else ""), check


def save_worded_base(folder: Path, columns: int = 30) -> Path:
    """A two-layer BERT, hidden 32, that knows the words of so many columns."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, BertTokenizerFast

    from equipoise.models.quiet import quiet_libraries

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [f"f{column}q{b}" for column in range(columns) for b in range(BINS)]
    vocabulary = {word: number for number, word in enumerate([*special, *words])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=40,
    )
    with quiet_libraries():
        BertModel(config).save_pretrained(folder)
    BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=40).save_pretrained(folder)
    return folder


PASSED = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_fit_score_takes_y",
    "check_estimators_overwrite_params",
    "check_dont_overwrite_parameters",
    "check_estimators_fit_returns_self",
    "check_readonly_memmap_input",
    "check_estimators_unfitted",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_n_features_in_after_fitting",
    "check_mixin_order",
    "check_positive_only_tag_during_fit",
    "check_estimators_dtypes",
    "check_sample_weights_pandas_series",
    "check_sample_weights_not_an_array",
    "check_sample_weights_list",
    "check_all_zero_sample_weights_error",
    "check_sample_weights_shape",
    "check_sample_weights_not_overwritten",
    "check_complex_data",
    "check_dtype_object",
    "check_estimators_empty_data_messages",
    "check_pipeline_consistency",
    "check_estimators_nan_inf",
    "check_estimator_sparse_tag",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_estimators_pickle",
    "check_estimators_pickle(readonly_memmap=True)",
    "check_f_contiguous_array_estimator",
    "check_classifier_data_not_an_array",
    "check_classifiers_one_label",
    "check_classifiers_one_label_sample_weights",
    "check_classifiers_classes",
    "check_estimators_partial_fit_n_features",
    "check_classifiers_train",
    "check_classifiers_train(readonly_memmap=True)",
    "check_classifiers_train(readonly_memmap=True,X_dtype=float32)",
    "check_classifiers_regression_target",
    "check_supervised_y_no_nan",
    "check_supervised_y_2d",
    "check_non_transformer_estimators_n_iter",
    "check_decision_proba_consistency",
    "check_parameters_default_constructible",
    "check_methods_sample_order_invariance",
    "check_fit2d_1sample",
    "check_fit2d_1feature",
    "check_get_params_invariance",
    "check_set_params",
    "check_dict_unchanged",
    "check_fit_idempotent",
    "check_fit_check_is_fitted",
    "check_n_features_in",
    "check_fit1d",
    "check_fit2d_predict1d",
    "check_requires_y_none",
)

SKIPPED = {
    "check_sample_weight_equivalence_on_dense_data": (
        "A row given three times is not a row of weight three: the copies are duplicates, of which "
        "the split and the steps take notice. That weight 0 leaves a row out, and that only ratios "
        "of weights count, are tests of our own."
    ),
    "check_methods_subset_invariance": (
        "It allows 1e-7, and float32 sums in batches of another size differ by about 5e-7. A test "
        "of our own allows 1e-5."
    ),
    "check_array_api_input(array_namespace=numpy,expect_only_array_outputs=False)": (
        "It wants SCIPY_ARRAY_API set before scipy is loaded, and is about arrays of numbers on "
        "other devices; texts are in none."
    ),
}
