"""Gradients of a step, and scores from cached states, for `exactness.py`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

LIMITS = {"float64": 1e-10, "float32": 1e-5}
CACHED_LIMIT = 1e-5


def gradients(settings: dict[str, Any]) -> dict[str, Any]:
    """1, 2, 4 and 8 micro-batches in one process."""
    import torch

    from tests.models import gradients as g

    worst = {}
    remedies = settings.get("remedies", ())
    with tempfile.TemporaryDirectory() as folder:
        base = _base(Path(folder), settings["architecture"], 2)
        for dtype in LIMITS:
            kind = getattr(torch, dtype)
            whole = g.plain_gradients(base, kind, remedies=remedies)
            for parts in (1, 2, 4, 8):
                found = g.step_gradients(
                    base,
                    device_rows=g.BATCH_ROWS // parts,
                    dtype=kind,
                    remedies=remedies,
                    output=Path(folder) / "trainer",
                )
                worst[f"{dtype}, {parts} parts"] = _worst(found, whole)
    return _gradient_record(worst)


def gradients_of_processes(settings: dict[str, Any]) -> dict[str, Any]:
    """Two processes over gloo, each with 1, 2 or 4 micro-batches a step."""
    import torch

    from tests.models import gradients as g

    worst = {}
    remedies = settings.get("remedies", ())
    with tempfile.TemporaryDirectory() as folder:
        base, out = _base(Path(folder), settings["architecture"], 2), Path(folder)
        cases = [(dtype, rows) for dtype in LIMITS for rows in (8, 4, 2)]
        found = g.in_two_processes(base, out, cases, l1=0.0, remedies=remedies)
        for (dtype, rows, rank), steps in found.items():
            whole = g.plain_gradients(base, getattr(torch, dtype), remedies=remedies)
            worst[f"{dtype}, {8 // rows} parts in process {rank}"] = _worst(steps, whole)
    return _gradient_record(worst)


def _worst(found: Any, whole: Any) -> float:
    from tests.models.gradients import relative_difference

    return max(relative_difference(a, b) for a, b in zip(found, whole, strict=True))


def _gradient_record(worst: dict[str, float]) -> dict[str, Any]:
    by_type = {d: max(v for name, v in worst.items() if name.startswith(d)) for d in LIMITS}
    return {
        **by_type,
        "exact": all(by_type[dtype] <= limit for dtype, limit in LIMITS.items()),
        "cases": worst,
    }


def cached(settings: dict[str, Any]) -> dict[str, Any]:
    from equipoise.models.cache import CacheSettings
    from equipoise.models.states import ensure_states
    from tests.models import tiny

    worst: dict[str, float] = {}
    rows = tiny.easy_rows(64)
    with tempfile.TemporaryDirectory() as folder:
        base_folder = _base(Path(folder), settings["architecture"], 4)
        for cut in (1, 2, 3):
            for head in ("cosine", "linear", "native"):
                classifier, base, _, _ = tiny.make(
                    base_folder, method="light", head=head, trained_layers=4 - cut
                )
                tokens = tiny.token_rows(base, rows)
                states = ensure_states(
                    classifier, base, tokens, CacheSettings(Path(folder) / "cache", 10**9)
                )
                for side in ("right", "none", *["left"] * base.causal):
                    apart = _apart(classifier.eval(), tokens, states, side)
                    worst[side] = max(worst.get(side, 0.0), apart)
    largest = max(worst.values())
    return {"largest": largest, "exact": largest <= CACHED_LIMIT, "by_padding": worst}


def _apart(classifier: Any, tokens: Any, states: Any, side: str) -> float:
    """Largest difference of logits over all rows; "none": row by row."""
    import torch

    from equipoise.models.batches import padded

    groups = [[i] for i in range(len(tokens))] if side == "none" else [list(range(len(tokens)))]
    worst = 0.0
    for group in groups:
        where = "left" if side == "left" else "right"
        ids, mask = padded([tokens.row(i) for i in group], fill=0, side=where)
        entering, _ = padded([states.row(i) for i in group], fill=0.0, side=where)
        given = torch.from_numpy(ids).long(), torch.from_numpy(mask)
        with torch.no_grad():
            whole = classifier(*given)
            classifier.cut.skip_lower()
            from_cache = classifier(*given, torch.from_numpy(entering))
            classifier.cut.restore_lower()
        worst = max(worst, float((whole - from_cache).abs().max()))
    return worst


def _base(folder: Path, architecture: str, layers: int) -> Path:
    from tests.models.tiny import save_base

    return save_base(folder / "base", architecture, layers)
