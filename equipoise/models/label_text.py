"""A decoder that writes the label: a class's score is the log-probability of its words."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from equipoise.models.classifier import SequenceClassifier
from equipoise.models.label_tree import LabelTree
from equipoise.models.vocabulary import log_probabilities, writing_model

_WINDOWED, _WHOLE = "sliding_attention", "full_attention"
_TOLERANCE = 1e-3
"""Largest difference of two scores, by tree and label by label, at which the tree is trusted.
Honest ones are about 1e-6; a model that takes no mask or no positions is off by far more."""
_TOLERANCE_FOUR_BIT = 0.1
"""Four-bit layers compute in bf16, whose last digit moves a label's score by some hundredths."""


class LabelText(SequenceClassifier):
    """A row's tokens are its prompt and then the tree's nodes, the same for every row.

    A node sees the prompt and the nodes on the way to it, and stands at the position that it would
    have if its label alone followed the prompt. So every layer gives a node what it would give the
    same token in that label, and one pass gives the scores of all labels; states at a cut are those
    of prompt and nodes, and are cached as of any row.

    Where an architecture takes no such mask (`one_pass` False), every label is a pass of its own.
    """

    depths: Tensor
    ancestors: Tensor
    nodes: Tensor
    edge_places: Tensor
    edge_tokens: Tensor
    paths: Tensor

    def __init__(self, body: nn.Module, tree: LabelTree) -> None:
        super().__init__(body, None, pooling="last", causal=True)
        self.tree = tree
        self.one_pass = True
        for name, values in (
            ("nodes", tree.tokens),
            ("depths", tree.depths),
            ("ancestors", tree.ancestors),
            ("edge_places", tree.edge_places),
            ("edge_tokens", tree.edge_tokens),
            ("paths", tree.paths),
        ):
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    @property
    def states_name(self) -> str:
        """Cached states are of this tree alone."""
        return f"label tree {self.tree.fingerprint}"

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        states: Tensor | None = None,
        vectors: Tensor | None = None,
    ) -> Tensor:
        """Logits (rows, K): natural log of the probability that the model, choosing among its
        whole vocabulary at every step, writes the label and its end token behind the prompt.

        Shapes  input_ids, attention_mask (rows, tokens), padding on either side; states as in
                SequenceClassifier. No vectors: there is no head that they could enter.
        """
        assert vectors is None
        assert input_ids is not None
        assert attention_mask is not None
        if not self.one_pass:
            assert states is None
            return self.label_by_label(input_ids, attention_mask)
        places = self._places(attention_mask)
        out = self._pass(input_ids, self._mask(places), places.positions, states)
        edges = log_probabilities(
            self.body, _at(out, places.columns), self.edge_places, self.edge_tokens
        )
        # The last column stands for edges that a shorter label does not have.
        padded = torch.cat([edges, edges.new_zeros(len(edges), 1)], dim=1)
        return padded[:, self.paths].sum(-1)

    def vectors(
        self, input_ids: Tensor, attention_mask: Tensor, states: Tensor | None = None
    ) -> Tensor:
        """States (rows, width) of each prompt's last token, behind which the label is written."""
        places = self._places(attention_mask)
        if self.one_pass:
            out = self._pass(input_ids, self._mask(places), places.positions, states)
        else:
            out = self._pass(input_ids, attention_mask, places.positions, states)
        return _at(out, places.columns[:, :1])[:, 0]

    def label_by_label(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The same logits from one ordinary pass per label, for models that take no tree."""
        real = attention_mask.bool()
        prompts = real.sum(1) - len(self.tree)
        places = torch.arange(int(prompts.max()), device=input_ids.device)
        own = places < prompts[:, None]
        columns = _real_first(real)[:, : len(places)]
        ids = torch.where(own, input_ids.gather(1, columns), 0)
        return torch.stack([self._one_label(ids, prompts, k) for k in range(len(self.paths))], 1)

    def _one_label(self, prompt_ids: Tensor, prompts: Tensor, k: int) -> Tensor:
        """(rows,) scores of label k behind prompts (rows, longest), padded on the right."""
        label = torch.tensor(self.tree.label(k), device=prompt_ids.device)
        rows, steps = len(prompt_ids), len(label)
        behind = prompts[:, None] + torch.arange(steps - 1, device=prompt_ids.device)
        ids = torch.cat([prompt_ids, prompt_ids.new_zeros(rows, steps - 1)], dim=1)
        ids = ids.scatter(1, behind, label[:-1].expand(rows, -1))
        columns = torch.arange(ids.shape[1], device=ids.device)
        mask = (columns < prompts[:, None] + steps - 1).long()
        out = self._pass(ids, mask, columns.expand(rows, -1), None)
        where = prompts[:, None] - 1 + torch.arange(steps, device=ids.device)
        steps_at = torch.arange(steps, device=ids.device)
        return log_probabilities(self.body, _at(out, where), steps_at, label).sum(1)

    def _places(self, attention_mask: Tensor) -> _Places:
        real = attention_mask.bool()
        order = real.cumsum(1) - 1
        prompts = real.sum(1, keepdim=True) - len(self.tree)
        nodes = torch.where(real, order - prompts, -1).clamp(min=-1)
        depths = self.depths[nodes.clamp(min=0)]
        positions = torch.where(nodes >= 0, prompts - 1 + depths, order).clamp(min=0)
        wanted = prompts - 1 + torch.arange(len(self.tree) + 1, device=real.device)
        return _Places(real, order, nodes, positions, _real_first(real).gather(1, wanted))

    def _mask(self, places: _Places) -> Any:
        """What each token sees, (rows, 1, tokens, tokens), in the form that the model takes."""
        real, order, nodes, positions, _ = places
        told = nodes.clamp(min=0)
        on_the_way = self.ancestors[told[:, :, None], told[:, None, :]]
        before = (nodes[:, None, :] < 0) & (order[:, None, :] <= order[:, :, None])
        inside = (nodes[:, None, :] >= 0) & (nodes[:, :, None] >= 0) & on_the_way
        # Padding sees itself: a row of nothing would be NaN in some kernels.
        itself = torch.eye(real.shape[1], dtype=torch.bool, device=real.device)
        whole = ((before | inside) & real[:, None, :] & real[:, :, None]) | itself
        window, kinds = _window(self.body)
        if window is None:
            return self._formed(whole)
        near = whole & (positions[:, :, None] - positions[:, None, :] < window)
        if kinds is None:
            return self._formed(near)
        return {_WHOLE: self._formed(whole), _WINDOWED: self._formed(near | itself)}

    def _formed(self, seen: Tensor) -> Tensor:
        if _kernel(self.body) == "sdpa":
            return seen[:, None]
        kind = next(self.body.parameters()).dtype
        kind = kind if kind.is_floating_point else torch.float32
        low = torch.finfo(kind).min
        return torch.zeros_like(seen, dtype=kind).masked_fill(~seen, low)[:, None]

    def _pass(
        self, input_ids: Tensor, mask: Any, positions: Tensor, states: Tensor | None
    ) -> Tensor:
        """(rows, tokens, width) states behind the last layer and its norm."""
        inputs: dict[str, Any] = {"input_ids": input_ids, "attention_mask": mask}
        if "position_ids" in self._extra:
            inputs["position_ids"] = positions
        if "use_cache" in self._extra:
            inputs["use_cache"] = False
        with self.entering(states):
            out: Tensor = writing_model(self.body).base_model(**inputs).last_hidden_state
        return out


class _Places(NamedTuple):
    """Where prompt and nodes of each row stand."""

    real: Tensor
    """(rows, tokens) whether a token is no padding."""
    order: Tensor
    """(rows, tokens) how many tokens of the row stand before it."""
    nodes: Tensor
    """(rows, tokens) number of the node; -1: the prompt, or padding."""
    positions: Tensor
    """(rows, tokens)"""
    columns: Tensor
    """(rows, n + 1) where the prompt's last token and the nodes stand."""


def takes_tree(model: LabelText, *, four_bit: bool = False) -> bool:
    """Whether the model's scores by the tree are those label by label, on two short prompts."""
    kinds = set(getattr(_text_config(model.body), "layer_types", None) or ())
    if not kinds <= {_WHOLE, _WINDOWED} or _kernel(model.body) not in ("sdpa", "eager"):
        return False
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    window, _ = _window(model.body)
    high = _text_config(model.body).vocab_size
    generator = torch.Generator().manual_seed(0)
    lengths = 3, min((window or 5) + 2, 12)
    ids = torch.randint(high, (2, max(lengths) + len(model.tree)), generator=generator)
    mask = torch.ones_like(ids)
    for row, length in enumerate(lengths):
        whole = length + len(model.tree)
        ids[row, length:whole] = model.nodes.cpu()
        mask[row, whole:] = 0
    ids, mask = ids.to(device), mask.to(device)
    try:
        with torch.no_grad():
            off = (model(ids, mask) - model.label_by_label(ids, mask)).abs().max()
    except (TypeError, ValueError, RuntimeError, KeyError, IndexError, AttributeError):
        return False  # takes no mask of four dimensions, or no positions
    finally:
        model.train(was_training)
    return float(off) <= (_TOLERANCE_FOUR_BIT if four_bit else _TOLERANCE)


def _at(states: Tensor, columns: Tensor) -> Tensor:
    """(rows, m, width) states at columns (rows, m)."""
    return states.gather(1, columns[..., None].expand(-1, -1, states.shape[-1]))


def _real_first(real: Tensor) -> Tensor:
    """(rows, tokens) each row's columns, those of its tokens first and in their order."""
    return (~real).to(torch.int8).argsort(dim=1, stable=True)


def _window(body: nn.Module) -> tuple[int | None, set[str] | None]:
    """How far back a windowed layer sees, None: all of them see everything; and the kinds of layer
    where a model has several, None: one kind."""
    config = _text_config(body)
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ())
    if window is None or (kinds and _WINDOWED not in kinds):
        return None, None
    return int(window), kinds or None


def _kernel(body: nn.Module) -> str:
    return str(_text_config(body)._attn_implementation)


def _text_config(body: nn.Module) -> Any:
    return writing_model(body).config.get_text_config()
