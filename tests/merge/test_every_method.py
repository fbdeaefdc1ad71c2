"""What holds for every method of merging."""

from typing import Any

import pytest
import torch

from equipoise import merge
from equipoise.merge.walk import each
from tests.merge.models import State, base_state, same, sub_models

NAMES = list(merge.METHODS)
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def merged(name: str, models: list[State], base: State, **how: Any) -> State:
    """By as many of the models as the method takes."""
    method = merge.METHODS[name]
    taken = models[: method.sub_models[1]]
    if method.needs_importance:
        how["importances"] = [{n: v.abs() for n, v in one.items()} for one in taken]
    state = merge.merge(name, taken, base, **how).state
    assert state is not None
    return state


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_types_and_shapes_stay(name: str, dtype: torch.dtype) -> None:
    base = base_state(dtype)
    found = merged(name, sub_models(base, 3), base)
    assert list(found) == list(base)
    for key, value in found.items():
        assert (value.dtype, value.shape) == (dtype, base[key].shape)
        assert torch.isfinite(value).all()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_result_depends_on_stretches_or_threads(name: str) -> None:
    base = base_state()
    models = sub_models(base, 4)
    plain = merged(name, models, base, threads=1)
    for stretch, threads in ((1, 1), (3, 2), (11, 3)):
        assert same(plain, merged(name, models, base, stretch=stretch, threads=threads))


@pytest.mark.parametrize("name", [n for n in NAMES if merge.METHODS[n].sub_models[1] is None])
def test_the_order_of_models_is_that_of_their_keys(name: str) -> None:
    base = base_state()
    models = sub_models(base, 4)
    keys = ["ada", "bob", "cy", "dot"]
    turned = [2, 0, 3, 1]
    one = merged(name, models, base, keys=keys, weights=[1, 2, 3, 4])
    other = merged(
        name,
        [models[k] for k in turned],
        base,
        keys=[keys[k] for k in turned],
        weights=[[1, 2, 3, 4][k] for k in turned],
    )
    assert same(one, other)


@pytest.mark.parametrize(
    "name", [n for n in NAMES if n not in ("ties", "dare", "dare_ties", "wise_ft")]
)
def test_equal_models_merge_to_themselves(name: str) -> None:
    """TIES and DARE leave parts of what was learned out; task arithmetic is given shares here."""
    base = base_state()
    one = sub_models(base, 1)[0]
    how: dict[str, Any] = {"weights": [0.25] * 4} if name == "task_arithmetic" else {}
    found = merged(name, [one] * 4, base, **how)
    for key, value in found.items():
        exact = name not in ("task_arithmetic",)
        torch.testing.assert_close(
            value, one[key], rtol=0 if exact else 1e-6, atol=0 if exact else 1e-6
        )


@pytest.mark.parametrize("name", [n for n in NAMES if n != "slerp"])
def test_models_that_did_not_move_merge_to_the_base(name: str) -> None:
    base = base_state()
    assert same(merged(name, [dict(base)] * 3, base), base)


@pytest.mark.parametrize("name", [n for n in NAMES if merge.METHODS[n].draws])
def test_the_seed_decides_what_is_drawn(name: str) -> None:
    base = base_state()
    models = sub_models(base, 3)
    assert same(merged(name, models, base, seed=3), merged(name, models, base, seed=3))
    assert not same(merged(name, models, base, seed=3), merged(name, models, base, seed=4))


@pytest.mark.parametrize("name", NAMES)
def test_whole_numbers_are_copied_and_a_head_without_base_is_merged(name: str) -> None:
    base = base_state()
    models = [
        {**one, "positions": torch.arange(4), "head": torch.full((2, 3), float(k + 1))}
        for k, one in enumerate(sub_models(base, 2))
    ]
    found = merged(name, models, base)
    assert found["positions"].tolist() == [0, 1, 2, 3]
    if merge.METHODS[name].needs_base and name != "wise_ft":
        assert found["head"].unique().tolist() == [1.5]  # their average
    else:
        assert ((found["head"] >= 1) & (found["head"] <= 2.2)).all()


def test_the_first_failure_stops_the_others() -> None:
    from concurrent.futures import ThreadPoolExecutor

    seen = []

    def work(number: int) -> int:
        seen.append(number)
        if number == 3:
            raise ValueError("three")
        return number

    with ThreadPoolExecutor(2) as pool:
        with pytest.raises(ValueError, match="three"):
            each(pool, 2, list(range(1000)), work)
        assert len(seen) < 1000
        assert each(pool, 2, [3, 1, 2], lambda n: n * n) == [9, 1, 4]
