"""Merged products factored again, so that an adapter comes out where adapters went in.

A merged product has no low rank any more (what is selected value by value has full rank), so the
nearest product of the stated rank is taken, and what is lost is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from equipoise.merge.adapters import LoraSource
from equipoise.merge.sinks import Counted
from equipoise.merge.walk import Asked


class FactorSink:
    """Takes merged products, and keeps of each its factors alone."""

    def __init__(self, asked: Asked) -> None:
        """Of sub-models that are adapters, read as products; the first gives the names."""
        like = asked.sub_models[0].source
        assert isinstance(like, LoraSource)
        assert asked.rank is not None
        self.done: Mapping[str, Counted] = {}
        self.tensors: dict[str, Tensor] = {}
        """Factors, and modules kept whole, by the adapter's names."""
        self.like, self._rank, self._seed = like, asked.rank, asked.seed
        self._infos = asked.infos
        self._whole: dict[str, Tensor] = {}

    def write(self, name: str, start: int, values: Tensor) -> None:
        info = self._infos[name]
        held = self._whole.setdefault(name, torch.empty(info.values, dtype=info.dtype))
        held[start : start + values.numel()] = values

    def finished(self, name: str, counted: Counted) -> None:
        found = self._whole.pop(name).reshape(self._infos[name].shape)
        module = self.like.modules.get(name)
        if module is None:
            self.tensors[self.like.kept[name]] = found
            return
        product = found.T if self.like.transposed else found
        high, low, lost = factored(product, self._rank, self._seed)
        self.tensors |= {module.low: low, module.high: high}
        counted["lost"] = round(lost, 6)

    def config(self) -> dict[str, Any]:
        """The adapter's configuration: factors as they are, at the scale 1."""
        return {
            **self.like.config,
            "r": self._rank,
            "lora_alpha": self._rank,
            "use_rslora": False,
            "use_dora": False,
            "rank_pattern": {},
            "alpha_pattern": {},
        }


def factored(product: Tensor, rank: int, seed: int) -> tuple[Tensor, Tensor, float]:
    """B (outputs, rank) and A (rank, inputs) whose product is nearest to the one given, and the
    share of its length that is lost: |product - B A| / |product|, 0 if that is 0.

    Source  Halko, Martinsson & Tropp 2011, Finding structure with randomness, SIAM Review 53(2), as
            scikit-learn has it.
    """
    from sklearn.utils.extmath import randomized_svd

    whole = product.numpy()
    full = min(rank, *whole.shape)
    left, sizes, right = randomized_svd(whole, full, n_iter=7, random_state=seed)
    high, low = torch.zeros(len(whole), rank), torch.zeros(rank, whole.shape[1])
    high[:, :full] = torch.from_numpy(left * sizes**0.5)
    low[:full] = torch.from_numpy(sizes[:, None] ** 0.5 * right)
    length = float(product.norm())
    return high, low, float((product - high @ low).norm()) / length if length else 0.0
