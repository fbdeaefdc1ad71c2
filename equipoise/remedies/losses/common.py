"""What every loss does first."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from equipoise.errors import ShapeError

Portion = Annotated[float, Field(ge=0, le=1)]
"""A setting from 0 to 1, both included."""


def at_least_float32(logits: Tensor) -> Tensor:
    """Logits of half precision as float32: a loss near 0 or a margin of log(1e-5) is lost there."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def per_class(values: Any, logits: Tensor, name: str) -> Tensor:
    """A statistic of shape (K,) with the device and type of the logits (rows, K).

    Raises ShapeError if it does not have one entry per class.
    """
    tensor = torch.as_tensor(values, device=logits.device, dtype=logits.dtype)
    classes = logits.shape[-1]
    if tensor.shape != (classes,):
        raise ShapeError(
            f"{name} has shape {tuple(tensor.shape)}; "
            f"expected ({classes},), one entry per class in the logits"
        )
    return tensor


def on_host(values: Any) -> NDArray[np.float64]:
    """Rows per class or costs, tensor or array, as float64 numpy: margins and weights are worked
    out there, to the last digit, whatever the logits are in."""
    found = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    return np.asarray(found, dtype=np.float64)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Plain cross-entropy, (rows,) nats: the loss without a remedy."""
    return F.cross_entropy(at_least_float32(logits), labels, reduction="none")


def of_label(values: Tensor, labels: Tensor) -> Tensor:
    """(rows,): of every row of (rows, K), the entry of its label."""
    return values.gather(1, labels[:, None])[:, 0]
