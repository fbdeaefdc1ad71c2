"""Hand-worked values of the methods that reckon."""

import math

import pytest
import torch
from torch import Tensor

from equipoise import merge


def state(*values: float) -> dict[str, Tensor]:
    return {"w": torch.tensor(values, dtype=torch.float64)}


def of(merged: merge.Merged) -> list[float]:
    assert merged.state is not None
    found: list[float] = merged.state["w"].tolist()
    return found


def test_average() -> None:
    found = merge.average([state(1, 2), state(3, 6)], weights=[3, 1])
    assert of(found) == [1.5, 3.0]


def test_task_arithmetic_adds_up_what_was_learned() -> None:
    found = merge.task_arithmetic([state(2, 1), state(1, 3)], state(1, 1), scale=0.5)
    assert of(found) == [1.5, 2.0]  # 1 + 0.5 (1 + 0), 1 + 0.5 (0 + 2)


def test_wise_ft_goes_a_share_of_the_way() -> None:
    assert of(merge.wise_ft(state(3, 5), state(1, 1), share=0.25)) == [1.5, 2.0]


def test_fisher_trusts_each_value_by_its_information() -> None:
    found = merge.fisher([state(1, 1, 2), state(5, 5, 4)], [state(3, 0, 0), state(1, 2, 0)])
    assert of(found) == [2.0, 5.0, 3.0]  # (3 + 5) / 4, 5 alone, no information: the average


def test_slerp_of_a_right_angle() -> None:
    """A third of the way between (2, 0) and (0, 4): sin 60° of the first, sin 30° of the other."""
    found = of(merge.slerp(state(2, 0), state(0, 4), t=1 / 3))
    assert found == pytest.approx([2 * math.sin(math.pi / 3), 4 * math.sin(math.pi / 6)])


def test_slerp_of_parallel_models_is_straight() -> None:
    assert of(merge.slerp(state(1, 2), state(2, 4), t=0.5)) == [1.5, 3.0]
    assert of(merge.slerp(state(0, 0), state(2, 4), t=0.25)) == [0.5, 1.0]
    assert of(merge.slerp(state(1, 0), state(0, 1), t=0.0)) == pytest.approx([1.0, 0.0])
    assert of(merge.slerp(state(1, 0), state(0, 1), t=1.0)) == pytest.approx([0.0, 1.0])


def test_ties_trims_elects_and_averages_what_agrees() -> None:
    """Task vectors (4, -1, 3, 0.5) and (-1, -2, 1, 0.2), half kept: (4, 0, 3, 0), (0, -2, 1, 0)
    where -1 and 1 are as large as each other and both stay: (-1, -2, 1, 0). Signs of the sums
    (3, -2, 4, 0): +, -, +, none. Means of those that agree: 4, -2, 2, and nothing."""
    base = state(1, 1, 1, 1)
    models = [state(5, 0, 4, 1.5), state(0, -1, 2, 1.2)]
    assert of(merge.ties(models, base, density=0.5)) == [5.0, -1.0, 3.0, 1.0]
    assert of(merge.ties(models, base, density=0.5, scale=0.5)) == [3.0, 0.0, 2.0, 1.0]


def test_ties_keeps_everything_at_full_density() -> None:
    base, models = state(0, 0), [state(1, -3), state(2, 1)]
    assert of(merge.ties(models, base, density=1.0)) == [1.5, -3.0]
    weighted = merge.ties(models, base, density=1.0, weights=[1, 3])
    assert of(weighted) == [1.75, 0.0]  # (1 + 6) / 4; -3 and 3 x 1 weigh the same: nothing elected


@pytest.mark.parametrize("density", [0.01, 0.2, 0.5, 0.999])
def test_the_threshold_found_by_counting_is_that_of_sorting(density: float) -> None:
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(5000, generator=generator)
    tuned = base + torch.randn(5000, generator=generator) ** 3 * 0.01
    found = merge.ties([{"w": tuned}], {"w": base}, density=density, stretch=700).state
    assert found is not None
    delta = tuned - base
    kept = delta.abs() >= delta.abs().sort(descending=True).values[max(1, int(density * 5000)) - 1]
    assert torch.equal(found["w"], torch.where(kept, base + delta, base))


@pytest.mark.parametrize("method", ["dare", "dare_ties"])
def test_dare_keeps_a_share_and_makes_up_for_the_rest(method: str) -> None:
    n, density = 40_000, 0.25
    base = {"w": torch.zeros(n, dtype=torch.float64)}
    model = {"w": torch.ones(n, dtype=torch.float64)}
    found = merge.merge(method, [model], base, density=density, seed=1).state
    assert found is not None
    assert found["w"].unique().tolist() == [0.0, 4.0]
    share = float((found["w"] > 0).double().mean())
    assert abs(share - density) <= 4 * math.sqrt(density * (1 - density) / n)
    whole = merge.merge(method, [model], base, density=1.0).state
    assert whole is not None
    assert torch.equal(whole["w"], model["w"])


def test_dare_drops_of_each_model_others() -> None:
    base = {"w": torch.zeros(20_000)}
    models = [{"w": torch.ones(20_000)}, {"w": torch.full((20_000,), 10.0)}]
    found = merge.dare(models, base, density=0.5).state
    assert found is not None
    assert sorted({round(v, 4) for v in found["w"].unique().tolist()}) == [0.0, 1.0, 10.0, 11.0]
