import inspect
import math

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from equipoise.errors import DataError, SettingsError, ShapeError
from equipoise.remedies.batches import class_weights
from equipoise.remedies.losses import (
    LOSSES,
    build_loss,
    focal_cross_entropy,
    logit_adjusted_cross_entropy,
    weighted_cross_entropy,
)
from equipoise.remedies.prior import log_shares
from equipoise.remedies.source import log_source
from equipoise.remedies.spec import parse_remedy, remedy_spec
from equipoise.remedies.table import REMEDIES

from .checks import names_of
from .checks.losses import NEUTRAL, loss_of

LABELS = torch.tensor([0, 0, 0, 0, 1, 2])
COUNTS = torch.tensor([4.0, 1.0, 1.0], dtype=torch.float64)
LOG_PRIOR = (COUNTS / 6).log()
LOGITS = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", names_of("loss"))
def test_what_is_plain_cross_entropy(name):
    plain = cross_entropy(LOGITS, LABELS, reduction="none")
    neutral = NEUTRAL[name]
    if neutral is not None:
        torch.testing.assert_close(loss_of(name, neutral, LOGITS, LABELS), plain)
    if REMEDIES[name].corrects_prior:
        # Where classes have equal shares, there is nothing to correct.
        settings = {"gamma": 0} if "gamma" in (neutral or {}) else {}
        settings |= {"margin": 0} if name == "ldam" else {"q": 0} if name == "seesaw" else {}
        loss = build_loss(remedy_spec(name, settings), np.array([5, 5, 5]))
        torch.testing.assert_close(loss(LOGITS, LABELS, 1.0), plain)


def test_without_a_remedy_it_is_plain_cross_entropy():
    plain = cross_entropy(LOGITS, LABELS, reduction="none")
    torch.testing.assert_close(build_loss(None, COUNTS.numpy())(LOGITS, LABELS), plain)


def test_a_loss_corrects_the_prior_if_it_says_by_how_much():
    for remedy in LOSSES.values():
        assert remedy.corrects_prior == (remedy.prior_shift is not None)
        assert remedy.corrects_prior == remedy.may_double
        if remedy.prior_shift is not None:
            # Settings of the shift are those of the loss, with the same defaults.
            theirs = inspect.signature(remedy.prior_shift).parameters
            ours = inspect.signature(remedy.function).parameters
            for setting in remedy.settings:
                assert theirs[setting.name].default == ours[setting.name].default


def test_blank_logits_cost_the_surprise_of_the_prior():
    """With equal logits the softmax is the prior, so each row costs -log(prior[label]):
    log(6/4) for the class with four rows, log(6) for a class with one."""
    actual = logit_adjusted_cross_entropy(torch.zeros(6, 3, dtype=torch.float64), LABELS, LOG_PRIOR)
    common, rare = math.log(6 / 4), math.log(6)
    torch.testing.assert_close(actual, torch.tensor([common] * 4 + [rare] * 2, dtype=torch.float64))


def test_logit_adjustment_with_a_class_without_rows():
    prior = torch.tensor([0.0, -torch.inf, -torch.inf])
    with pytest.raises(DataError, match=r"classes \[1, 2\] have no training rows"):
        logit_adjusted_cross_entropy(LOGITS, LABELS, prior)
    with pytest.raises(DataError, match=r"classes \[1\] have no training rows"):
        build_loss(parse_remedy("logit_adjusted"), np.array([3, 0, 2]))
    with pytest.raises(ShapeError, match=r"shape \(2,\); expected \(3,\)"):
        logit_adjusted_cross_entropy(LOGITS, LABELS, LOG_PRIOR[:2])


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_is_torchvisions_formula_for_two_classes(gamma):
    """torchvision.ops.sigmoid_focal_loss by hand: ce * (1 - p_t)^gamma, alpha off. Two logits
    (0, x) have the softmax sigmoid(x)."""
    x = torch.linspace(-6, 6, 13, dtype=torch.float64)
    target = (torch.arange(13) % 2).double()
    p = torch.sigmoid(x)
    ce = binary_cross_entropy_with_logits(x, target, reduction="none")
    p_t = p * target + (1 - p) * (1 - target)
    theirs = ce * (1 - p_t) ** gamma
    ours = focal_cross_entropy(
        torch.stack([torch.zeros_like(x), x], dim=1), target.long(), gamma=gamma
    )
    torch.testing.assert_close(ours, theirs)


def test_focal_by_hand():
    """p = 3/4: (1/4)^2 * log(4/3)."""
    logits = torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64)
    expected = torch.tensor([math.log(4 / 3) / 16], dtype=torch.float64)
    torch.testing.assert_close(focal_cross_entropy(logits, torch.tensor([0])), expected)


@pytest.mark.parametrize("kind", ["inverse", "sqrt", "effective"])
def test_weighted_is_torchs_own_weight(kind):
    weights = torch.from_numpy(class_weights(COUNTS.numpy(), kind=kind))
    theirs = cross_entropy(LOGITS, LABELS, weight=weights, reduction="none")
    ours = weighted_cross_entropy(LOGITS, LABELS, COUNTS, kind=kind)
    torch.testing.assert_close(ours, theirs)


def test_counts_of_another_model_are_refused():
    with pytest.raises(ShapeError, match="one entry per class"):
        weighted_cross_entropy(LOGITS, LABELS, COUNTS[:2])


def test_half_precision_logits_lose_nothing_in_the_loss():
    half = LOGITS.bfloat16()
    actual = build_loss(parse_remedy("logit_adjusted"), COUNTS.numpy())(half, LABELS)
    expected = logit_adjusted_cross_entropy(half.float(), LABELS, LOG_PRIOR.float())
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def test_a_model_fitted_with_the_margin_has_flat_prior():
    """One logit vector for all rows, fitted by gradient descent: plain cross-entropy ends at the
    log shares, the margin at flat logits, weights at flat logits, tau 0.5 half way."""
    shares = log_shares(COUNTS.numpy())
    late = class_weights(COUNTS.numpy(), kind="effective", beta=0.9)
    for text, expected in {
        "balanced_softmax": np.zeros(3),
        "vector_scaling:gamma=0,tau=0.5": shares / 2,
        "class_balanced_focal:gamma=0,beta=0.9": shares + np.log(late),
        # All classes tie: so they do however much rows already right are turned away from.
        "class_balanced_focal:gamma=2,beta=0.99999999": np.zeros(3),
        "ldam:margin=0,beta=0.9": shares + np.log(late),
        "ldam:margin=0,beta=0.9,defer=1": shares,
        "logit_adjusted": np.zeros(3),
        "logit_adjusted:tau=0.5": shares / 2,
        "weighted_cross_entropy": np.zeros(3),
        "weighted_cross_entropy:kind=sqrt": shares / 2,
    }.items():
        loss = build_loss(parse_remedy(text), COUNTS.numpy())
        z = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.LBFGS([z], max_iter=100, tolerance_grad=1e-10)

        def closure(z=z, loss=loss, optimiser=optimiser):
            optimiser.zero_grad()
            total = loss(z.expand(6, 3), LABELS, 1.0).sum()
            total.backward()
            return total

        optimiser.step(closure)
        fitted = z.detach().numpy()
        np.testing.assert_allclose(fitted - fitted[0], expected - expected[0], atol=1e-5)
        kept = log_source([parse_remedy(text)], COUNTS.numpy())
        np.testing.assert_allclose(kept - kept[0], expected - expected[0], atol=1e-5)


def test_a_loss_is_asked_for_by_its_own_table():
    with pytest.raises(SettingsError, match="not a loss"):
        build_loss(parse_remedy("temperature"), COUNTS.numpy())
