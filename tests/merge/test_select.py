"""Laws of parameter selection (arXiv:2410.03743)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise import merge
from equipoise.merge.methods import selection as module
from equipoise.merge.methods.method import Part, Place
from equipoise.merge.methods.selection import select
from tests.merge.models import State, among, base_state, flat, same, sub_models

MANY = 10_000


def selected(models: list[State], base: State | None, **how: object) -> State:
    state = merge.select(models, base, **how).state  # type: ignore[arg-type]
    assert state is not None
    return state


def drawn(models: torch.Tensor, base: torch.Tensor | None, seed: int, **how: object) -> np.ndarray:
    """One tensor (K, n), without the walk."""
    place = Place("w", "w", tuple(models.shape[1:]), 0, models.shape[1])
    parts = [Part(str(k), values) for k, values in enumerate(models)]
    return select(place, base, parts, seed=seed, **how)[0].numpy()  # type: ignore[arg-type]


@settings(deadline=None, max_examples=30)
@given(count=st.integers(1, 6), seed=st.integers(0, 99), resamples=st.sampled_from([0, 1, 3, None]))
def test_every_value_is_one_of_the_models(count: int, seed: int, resamples: int | None) -> None:
    base = base_state()
    models = sub_models(base, count, seed=seed)
    assert among(selected(models, base, seed=seed, resamples=resamples), models)


def test_one_model_is_itself() -> None:
    base = base_state()
    (one,) = sub_models(base, 1)
    for resamples in (0, 2, None):
        assert same(selected([one], base, resamples=resamples), one)


@pytest.mark.parametrize("probabilities", [None, [1.0, 2.0, 5.0]])
def test_the_mean_over_seeds_is_the_weighted_average(probabilities: list[float] | None) -> None:
    generator = torch.Generator().manual_seed(0)
    models = torch.randn(3, 20, generator=generator, dtype=torch.float64)
    weights = np.array(probabilities or [1.0] * 3) / sum(probabilities or [1.0] * 3)
    place = Place("w", "w", (20,), 0, 20)
    parts = [Part(str(k), models[k], float(weights[k])) for k in range(3)]
    sums, squares = np.zeros(20), 0.0
    for seed in range(MANY):
        found, _ = select(place, None, parts, seed=seed, equal=probabilities is None)
        sums += found.numpy()
        squares += float((found**2).sum())
    average = weights @ models.numpy()
    spread = np.sqrt(weights @ models.numpy() ** 2 - average**2) / np.sqrt(MANY)
    assert (np.abs(sums / MANY - average) <= 4 * spread).all()
    # The squared length, without a base and so without resampling, is that of the models in mean.
    of_each = (models.numpy() ** 2).sum(axis=1)
    per_value = weights @ models.numpy() ** 4 - (weights @ models.numpy() ** 2) ** 2
    assert abs(squares / MANY - weights @ of_each) <= 4 * np.sqrt(per_value.sum() / MANY)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 6))
def test_more_draws_never_leave_fewer_values_moved(seed: int, count: int) -> None:
    base = base_state()
    models = sub_models(base, count, moved=0.3, seed=seed)
    last: torch.Tensor | None = None
    for resamples in (0, 1, 2, 5, None):
        moved = flat(selected(models, base, seed=seed, resamples=resamples)) != flat(base)
        assert last is None or bool((moved >= last).all())  # value by value
        last = moved
    anywhere = torch.stack([flat(one) != flat(base) for one in models]).any(0)
    assert last is not None
    assert bool((last == anywhere).all())


def test_who_is_drawn_again_is_one_of_the_others_by_their_shares() -> None:
    """Of three models the first never moves: where it is drawn, the others follow as 1 to 3."""
    n = 60_000
    models = torch.stack([torch.zeros(n), torch.ones(n), torch.full((n,), 2.0)])
    place = Place("w", "w", (n,), 0, n)
    parts = [Part(str(k), models[k], w) for k, w in enumerate((4.0, 1.0, 3.0))]
    found, counts = select(place, torch.zeros(n), parts, seed=0, equal=False)
    share = float((found == 2).float().mean())
    assert abs(share - 0.75) <= 4 * np.sqrt(0.75 * 0.25 / n)
    assert counts["moved"] == n
    assert abs(counts["redrawn"] / n - 0.5) <= 4 * np.sqrt(0.25 / n)
    assert (counts["unmoved 0"], counts["unmoved 1"]) == (n, 0)


def test_once_drawn_again_is_no_more_than_once() -> None:
    """Nine of ten never move. One of n + 1 draws without repeating finds the tenth."""
    n = 40_000
    models = torch.zeros(10, n)
    models[9] = 1
    for resamples in (0, 1, 4):
        share = float(drawn(models, torch.zeros(n), 0, resamples=resamples).mean())
        wanted = (resamples + 1) / 10
        assert abs(share - wanted) <= 4 * np.sqrt(wanted * (1 - wanted) / n)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("resamples", [0, 2, None])
def test_without_the_compiler_the_bytes_are_the_same(
    dtype: torch.dtype, resamples: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = base_state(dtype)
    models = sub_models(base, 4, moved=0.4)
    fast = merge.select(models, base, resamples=resamples)
    monkeypatch.setattr(module, "compiled", lambda: None)
    plain = merge.select(models, base, resamples=resamples)
    assert fast.state is not None
    assert plain.state is not None
    assert same(fast.state, plain.state)
    assert fast.tensors == plain.tensors


def test_equal_probabilities_draw_as_none_do() -> None:
    base = base_state()
    models = sub_models(base, 4)
    importances = [{name: torch.ones_like(v) for name, v in one.items()} for one in models]
    plain = selected(models, base)
    assert same(plain, selected(models, base, probabilities=[0.2] * 4))
    assert same(plain, selected(models, base, importances=importances))


def test_values_follow_the_importance_at_their_place() -> None:
    n = 30_000
    base = {"w": torch.zeros(n)}
    models = [{"w": torch.full((n,), float(k))} for k in (1, 2)]
    trust = torch.ones(n)
    trust[: n // 2] = 3
    trust[-10:] = 0
    importances = [{"w": trust}, {"w": torch.where(trust == 0, 0.0, 1.0)}]
    found = selected(models, base, importances=importances)["w"]
    for part, wanted in ((found[: n // 2], 0.75), (found[n // 2 :], 0.5)):
        share = float((part == 1).float().mean())
        assert abs(share - wanted) <= 4 * np.sqrt(wanted * (1 - wanted) * 2 / n)
    assert set(found[-10:].tolist()) <= {1.0, 2.0}


def test_values_near_the_base_have_not_moved() -> None:
    base = {"w": torch.zeros(1000)}
    models = [{"w": torch.full((1000,), 1e-4)}, {"w": torch.full((1000,), 1e-2)}]
    assert selected(models, base, tolerance=1e-3)["w"].unique().tolist() == pytest.approx([1e-2])
    assert len(selected(models, base)["w"].unique()) == 2
    # Where none has moved the first drawn stands, as it is.
    assert len(selected(models, base, tolerance=1.0)["w"].unique()) == 2


@pytest.mark.parametrize("granularity", ["row", "tensor", "layer"])
def test_what_is_drawn_as_one_is_of_one_model(granularity: str) -> None:
    base = base_state()
    models = sub_models(base, 3, moved=1.0)
    of_layer: set[tuple[int, ...]] = set()
    for seed in range(30):
        found = selected(models, base, granularity=granularity, seed=seed)
        where = {name: torch.stack([one[name] == found[name] for one in models]) for name in found}
        rows = where["model.layers.0.w"]
        assert rows.all(dim=2).any(dim=0).all()
        if granularity != "row":
            assert all(there.reshape(3, -1).all(1).any() for there in where.values())
        if granularity == "layer":
            both = [where[f"model.layers.0.{part}"].reshape(3, -1).all(1) for part in "wb"]
            assert torch.equal(*both)
        of_layer.add(tuple(rows.all(dim=2).int().argmax(dim=0).tolist()))
    assert len(of_layer) > 1


@pytest.mark.parametrize("granularity", ["tensor", "layer"])
def test_a_tensor_that_moved_anywhere_has_moved(granularity: str) -> None:
    """In no stretch of one value does all of a tensor's moving show."""
    base = {"model.layers.0.w": torch.zeros(50), "model.layers.0.v": torch.zeros(3)}
    still = {name: value.clone() for name, value in base.items()}
    moved = {name: value.clone() for name, value in base.items()}
    moved["model.layers.0.w"][49] = 1
    for seed in range(20):
        found = selected([still, moved], base, granularity=granularity, seed=seed, stretch=4)
        assert float(found["model.layers.0.w"][49]) == 1


def test_tied_weights_stay_tied() -> None:
    layer = torch.nn.Linear(30, 40, bias=False)

    class Tied(torch.nn.Module):
        def __init__(self, shift: float) -> None:
            super().__init__()
            self.first = torch.nn.Embedding(40, 30)
            self.last = torch.nn.Linear(30, 40, bias=False)
            self.first.weight.data = layer.weight.data + shift
            self.last.weight = self.first.weight

    found = selected([Tied(0.1), Tied(0.2)], Tied(0.0))  # type: ignore[list-item, arg-type]
    assert torch.equal(found["first.weight"], found["last.weight"])
    assert len((found["first.weight"] - layer.weight.data).mul(10).round().unique()) == 2
