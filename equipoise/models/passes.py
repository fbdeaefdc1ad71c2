"""One micro-batch on its way through the model, and the places where a wrapper of the loss acts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from equipoise.models.classifier import SequenceClassifier
from equipoise.models.feed import Batch


class Pass:
    """The model's logits for one micro-batch, as it is or changed on the way.

    words    (rows, tokens, width): the states that enter the cut where there is one, else the word
             embeddings.
    vectors  (rows, width): what enters the head.
    """

    def __init__(self, model: nn.Module, classifier: SequenceClassifier, inputs: Batch) -> None:
        self._model = model
        self._classifier = classifier
        self._inputs = inputs
        self.logits: Tensor | None = None
        """Of the first pass."""

    @property
    def inputs(self) -> Batch:
        """What the model was given, without labels and weights."""
        return self._inputs

    def words(self) -> Tensor:
        """What enters the lowest trained layer, 0 at padding."""
        classifier = self._classifier
        if "states" in self._inputs:
            words = self._inputs["states"]
        elif classifier.cut is not None:
            words = self._states_at_cut()
        else:
            words = _embeddings(classifier)(self._inputs["input_ids"])
        return words * self._inputs["attention_mask"][..., None].to(words.dtype)

    def __call__(
        self,
        *,
        words: Tensor | None = None,
        partner: Tensor | None = None,
        change_vectors: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Logits (rows, classes); see `words` and `vectors` above.

        partner  (rows,) row beside each, whose tokens count where the row's own have ended.
        """
        inputs = self._inputs if partner is None else _lengthened(self._inputs, partner)
        classifier = self._classifier
        # Distributed training wants one pass through its own wrapping, and the first: it copies
        # buffers on every pass, which would spoil the gradients of one made before it.
        model = self._model if self.logits is None else classifier
        if words is not None and classifier.cut is not None:
            inputs = inputs | {"states": words}
        elif words is not None:
            with _in_place_of_output(_embeddings(classifier), words):
                return self._kept(model(**inputs))
        if change_vectors is not None:
            with _before(classifier.head, change_vectors):
                return self._kept(model(**inputs))
        return self._kept(model(**inputs))

    def _kept(self, logits: Tensor) -> Tensor:
        self.logits = logits if self.logits is None else self.logits
        return logits

    @torch.no_grad()
    def _states_at_cut(self) -> Tensor:
        """Where states are not cached: from the frozen layers, leaving out those above."""
        cut = self._classifier.cut
        assert cut is not None
        return cut.reached(lambda: self._classifier(**self._inputs))


def _lengthened(inputs: Batch, partner: Tensor) -> Batch:
    """Every row as long as the longer of itself and its partner. Its token ids go on with the
    partner's, because some models count positions by what is not padding."""
    mask = inputs["attention_mask"]
    other = mask[partner]
    ids = torch.where(mask.bool(), inputs["input_ids"], inputs["input_ids"][partner])
    return inputs | {"attention_mask": torch.maximum(mask, other), "input_ids": ids}


def _embeddings(classifier: SequenceClassifier) -> nn.Module:
    body: Any = classifier.body
    found: nn.Module = body.get_input_embeddings()
    return found


@contextmanager
def _in_place_of_output(module: nn.Module, output: Tensor) -> Iterator[None]:
    hook = module.register_forward_hook(lambda *_: output)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def _before(module: nn.Module | None, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    assert module is not None  # `fitting` refuses a wrapper of vectors for a native head
    hook = module.register_forward_pre_hook(lambda _, given: (change(given[0]),))
    try:
        yield
    finally:
        hook.remove()
