"""The table of wrappers: what is done with rows on their way through the model, around any loss."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from equipoise.remedies.losses.adversarial import adversarial
from equipoise.remedies.losses.mixup import feature_mixup, word_mixup
from equipoise.remedies.losses.wrappers import Pass, PlainLoss, Wrapper
from equipoise.remedies.remedy import Remedy, RemedySpec, bind, lookup


def _wrapper(name: str, function: Any, source: str, needs: tuple[str, ...] = ()) -> Remedy:
    return Remedy(name, "loss", "wrapper", function, source, needs=needs, labels="both")


_LINES = (
    _wrapper("feature_mixup", feature_mixup, "arXiv:1806.05236", ("counts",)),
    _wrapper("word_mixup", word_mixup, "arXiv:1905.08941"),
    _wrapper("adversarial", adversarial, "arXiv:1605.07725"),
)
WRAPPERS: dict[str, Remedy] = {remedy.name: remedy for remedy in _LINES}
PLACES: dict[str, Literal["words", "vectors"]] = {
    "feature_mixup": "vectors",
    "word_mixup": "words",
    "adversarial": "words",
}
"""Where each acts; see `Pass`."""


def build_wrapper(spec: RemedySpec | None, counts: NDArray[Any], **given: Any) -> Wrapper | None:
    """The wrapper that the training loop calls around the loss; None: the loss stands alone.

    counts (K,): rows per class as fed to training. Raises SettingsError for a remedy of another
    kind or an unmet need.
    """
    if spec is None:
        return None
    remedy = lookup(WRAPPERS, spec, "a wrapper of the loss")
    statistics = {"counts": np.asarray(counts, dtype=np.float64), **given}
    bound = bind(remedy, spec.settings, statistics)

    def wrapper(
        run: Pass,
        labels: Tensor,
        weights: Tensor,
        loss: PlainLoss,
        rng: np.random.Generator,
        /,
    ) -> Tensor:
        rows: Tensor = remedy.function(run, labels, weights, loss, rng, **bound)
        return rows

    return wrapper
