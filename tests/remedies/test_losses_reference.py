"""Every loss against its paper's formula, written a second time in plain numpy, row by row; and
values worked by hand."""

import math

import numpy as np
import pytest
import torch

from equipoise.errors import SettingsError, ShapeError
from equipoise.remedies.losses import (
    asymmetric_cross_entropy,
    balanced_softmax,
    build_loss,
    expected_cost,
    generalized_cross_entropy,
    label_aware_smoothing,
    label_smoothing,
    ldam_cross_entropy,
    logit_adjusted_cross_entropy,
    seesaw_cross_entropy,
    self_adjusting_dice,
    vector_scaling_cross_entropy,
)
from equipoise.remedies.spec import parse_remedy

from .checks.losses import NEUTRAL

N = np.array([600.0, 30.0, 3.0, 90.0])
SHARES = N / N.sum()
COSTS = np.array([[0, 1, 2, 3], [40, 0, 5, 6], [7, 80, 0, 9], [1, 1, 1, -2]], dtype=float)
LOGITS = 2 * torch.randn(16, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
LABELS = torch.arange(16) % 4


def softmax(z: np.ndarray) -> np.ndarray:
    e = [math.exp(value) for value in z]
    return np.array(e) / sum(e)


def effective(n: np.ndarray, beta: float) -> np.ndarray:
    raw = np.array([(1 - beta) / (1 - beta**rows) for rows in n])
    return raw * n.sum() / (raw * n).sum()


def class_balanced_focal(z, y):
    p = softmax(z)[y]
    return effective(N, 0.99)[y] * (1 - p) ** 1.5 * -math.log(p)


def vector_scaling(z, y):
    terms = [math.exp((N[j] / 600) ** 0.3 * z[j] + 0.7 * math.log(SHARES[j])) for j in range(4)]
    return -math.log(terms[y] / sum(terms))


def ldam(z, y):
    moved = z.copy()
    moved[y] -= 1.5 * (3 / N[y]) ** 0.25
    return -math.log(softmax(moved)[y]) * effective(N, 0.99)[y]


def seesaw(z, y):
    p = softmax(z)
    total = math.exp(z[y])
    for j in range(4):
        if j != y:
            mitigation = (N[j] / N[y]) ** 0.8 if N[j] < N[y] else 1
            compensation = (p[j] / max(p[y], 0.01)) ** 2 if p[j] > max(p[y], 0.01) else 1
            total += mitigation * compensation * math.exp(z[j])
    return -math.log(math.exp(z[y]) / total)


def cost_sensitive(z, y):
    p = softmax(z)
    blank = sum(SHARES[t] * np.mean(COSTS[t] - COSTS[t].min()) for t in range(4))
    cost = sum(p[j] * (COSTS[y, j] - COSTS[y].min()) for j in range(4)) * math.log(4) / blank
    return 0.7 * cost + 0.3 * -math.log(p[y])


def asymmetric(z, y):
    """The authors' ASLSingleLabel."""
    p = softmax(z)
    target = np.eye(4)[y]
    kept = target * p + (1 - target) * (1 - p)
    weight = (1 - kept) ** (1.5 * target + 4 * (1 - target))
    smoothed = target * 0.9 + 0.1 / 4
    return -(smoothed * np.log(p) * weight).sum()


def dice(z, y):
    p = softmax(z)
    total = 0.0
    for j in range(4):
        f, own = (1 - p[j]) ** 2 * p[j], float(j == y)
        total += 1 - (2 * f * own + 0.5) / (f + own + 0.5)
    return total


def generalized(z, y):
    return (1 - softmax(z)[y] ** 0.7) / 0.7


def smoothing(z, y, epsilon=0.2):
    target = np.full(4, epsilon / 4)
    target[y] += 1 - epsilon
    return -(target * np.log(softmax(z))).sum()


def label_aware(z, y):
    place = (N[y] - 3) / (600 - 3)
    return smoothing(z, y, 0.05 + (0.4 - 0.05) * math.sin(math.pi / 2 * place))


REFERENCES = {
    "class_balanced_focal:gamma=1.5,beta=0.99": class_balanced_focal,
    "vector_scaling:gamma=0.3,tau=0.7": vector_scaling,
    "ldam:margin=1.5,beta=0.99,defer=0.5": ldam,
    "seesaw": seesaw,
    "cost_sensitive:plain=0.3": cost_sensitive,
    "asymmetric:gamma_positive=1.5": asymmetric,
    "dice:alpha=2,smooth=0.5": dice,
    "generalized_cross_entropy": generalized,
    "label_smoothing:epsilon=0.2": smoothing,
    "label_aware_smoothing:epsilon=0.4,epsilon_rare=0.05": label_aware,
}


@pytest.mark.parametrize("text", REFERENCES)
def test_the_papers_formula(text):
    ours = build_loss(parse_remedy(text), N, costs=COSTS)(LOGITS, LABELS, 0.5)
    theirs = [REFERENCES[text](z, y) for z, y in zip(LOGITS.numpy(), LABELS.tolist(), strict=True)]
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-11)


def test_balanced_softmax_is_logit_adjustment():
    log_prior = np.log(SHARES)
    ours = balanced_softmax(LOGITS, LABELS, log_prior)
    assert torch.equal(ours, logit_adjusted_cross_entropy(LOGITS, LABELS, log_prior, tau=1.0))
    # And the paper's formula: n_y e^z_y / sum of n_j e^z_j.
    for z, y, found in zip(LOGITS.numpy(), LABELS.tolist(), ours.tolist(), strict=True):
        assert found == pytest.approx(-math.log(N[y] * math.exp(z[y]) / (N @ np.exp(z))))


def test_vector_scaling_without_factor_is_logit_adjustment():
    ours = vector_scaling_cross_entropy(LOGITS, LABELS, N, gamma=0, tau=0.7)
    theirs = logit_adjusted_cross_entropy(LOGITS, LABELS, np.log(SHARES), tau=0.7)
    torch.testing.assert_close(ours, theirs)


def test_smoothing_is_torchs_and_scikit_learns():
    from sklearn.metrics import log_loss

    torch.testing.assert_close(
        label_smoothing(LOGITS, LABELS, epsilon=0.2),
        torch.nn.functional.cross_entropy(LOGITS, LABELS, reduction="none", label_smoothing=0.2),
    )
    torch.testing.assert_close(
        label_aware_smoothing(LOGITS, LABELS, N, epsilon=0.2, epsilon_rare=0.2),
        label_smoothing(LOGITS, LABELS, epsilon=0.2),
    )
    torch.testing.assert_close(
        asymmetric_cross_entropy(LOGITS, LABELS, gamma_positive=0, gamma_negative=0, smoothing=0.2),
        label_smoothing(LOGITS, LABELS, epsilon=0.2),
    )
    p = torch.softmax(LOGITS, 1).numpy()
    for name, neutral in NEUTRAL.items():
        if neutral is not None:
            spec = parse_remedy(":".join([name, ",".join(f"{k}={v}" for k, v in neutral.items())]))
            mean = build_loss(spec, N, costs=COSTS)(LOGITS, LABELS, 1.0).mean().item()
            assert mean == pytest.approx(log_loss(LABELS.numpy(), p)), name


def test_ldam_weighs_only_once_training_is_old():
    z, y = torch.tensor([[0.0, 0.0]], dtype=torch.float64), torch.tensor([1])
    counts = np.array([16.0, 1.0])
    # The rarest class has the whole margin: log(1 + e^2); the other, 16 times as frequent, half.
    young = ldam_cross_entropy(z, y, counts, 0.79, margin=2.0, beta=0.0)
    assert young.item() == pytest.approx(math.log(1 + math.exp(2)))
    frequent = ldam_cross_entropy(z, torch.tensor([0]), counts, 0.0, margin=2.0)
    assert frequent.item() == pytest.approx(math.log(1 + math.exp(1)))
    old = ldam_cross_entropy(z, y, counts, 0.8, margin=2.0, beta=0.999999)
    assert old.item() / young.item() == pytest.approx(17 / 2, rel=1e-4)  # 1 / n, mean 1


def test_generalized_cross_entropy_is_bounded_and_meets_its_limits():
    surprises = torch.tensor([[0.0, 1000.0]], dtype=torch.float64)
    assert generalized_cross_entropy(surprises, torch.tensor([0])).item() == pytest.approx(1 / 0.7)
    p = torch.softmax(LOGITS, 1)[torch.arange(16), LABELS]
    torch.testing.assert_close(generalized_cross_entropy(LOGITS, LABELS, q=1), 1 - p)
    torch.testing.assert_close(
        generalized_cross_entropy(LOGITS, LABELS, q=1e-7), -p.log(), rtol=1e-5, atol=1e-6
    )


def test_dice_by_hand_and_its_gradient_lifts_the_own_class():
    """p = 1/2 each: f = 1/4, so 1 - (1/2 + 1) / (1/4 + 2) = 1/3 and 1 - 1 / (1/4 + 1) = 1/5."""
    z = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    loss = self_adjusting_dice(z, torch.tensor([0]))
    assert loss.item() == pytest.approx(1 / 3 + 1 / 5)
    loss.sum().backward()
    # d/dp at a fixed factor 1/2: -(1/2)(2 + 1) / (9/4)^2 and (1/2) / (5/4)^2, times p (1 - p).
    assert z.grad[0, 0].item() == pytest.approx(-(1.5 / (81 / 16) + 0.5 / (25 / 16)) / 4)
    for sure in (-3.0, 0.0, 3.0, 6.0):
        z = torch.tensor([[sure, 0.0]], dtype=torch.float64, requires_grad=True)
        self_adjusting_dice(z, torch.tensor([0])).sum().backward()
        assert z.grad[0, 0] < 0 < z.grad[0, 1]


def test_seesaw_spares_rare_classes_the_pull_of_frequent_rows():
    z = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    pulls = []
    for counts in (np.array([10.0, 10.0]), np.array([10_000.0, 10.0])):
        (g,) = torch.autograd.grad(seesaw_cross_entropy(z, torch.tensor([0]), counts).sum(), z)
        pulls.append(g[0, 1].item())
    r = 1000**-0.8
    assert pulls == pytest.approx([1 / 2, r / (1 + r)])


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_seesaws_prior_is_right_to_log_2_where_two_classes_tie(share):
    """Posterior at which both classes come out alike, against the stated shift."""
    counts = np.array([share, 1 - share]) * 1000
    loss = build_loss(parse_remedy("seesaw:q=0"), counts)
    from equipoise.remedies.losses.seesaw import seesaw_shift

    def pull(p: float) -> float:
        """Of class 0's logit, over class 1's, at equal logits and posterior p of class 0."""
        z = torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)
        rows = loss(z, torch.tensor([0, 1]), 0.0)
        (g,) = torch.autograd.grad(p * rows[0] + (1 - p) * rows[1], z)
        return float(g[:, 0].sum())

    low, high = 1e-6, 1 - 1e-6
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if pull(middle) > 0 else (low, middle)
    shift = seesaw_shift(counts)
    # softmax(z) is flat there, so the log odds and the shift should cancel.
    apart = math.log(low / (1 - low)) + shift[0] - shift[1]
    assert -math.log(2) - 1e-6 <= apart <= 1e-6


def test_expected_cost_by_hand():
    """Two classes, blank logits: p = 1/2. Costs (0, 2; 6, 0), shares 3/4 and 1/4: blank logits cost
    (3/4 + 3/4 × 1) in the mean, so the scale is log 2 / (3/4 × 1 + 1/4 × 3) = log 2 / 1.5."""
    z = torch.zeros(2, 2, dtype=torch.float64)
    costs, counts = np.array([[0.0, 2.0], [6.0, 0.0]]), np.array([3.0, 1.0])
    rows = expected_cost(z, torch.tensor([0, 1]), costs, counts, plain=0.0)
    scale = math.log(2) / 1.5
    assert rows.tolist() == pytest.approx([1 * scale, 3 * scale])
    # Mean over the rows as fed: log 2, as cross-entropy has it. Cents give what euros give.
    assert (3 * rows[0] + rows[1]).item() / 4 == pytest.approx(math.log(2))
    cents = expected_cost(z, torch.tensor([0, 1]), 100 * costs, counts, plain=0.0)
    torch.testing.assert_close(cents, rows)
    # A benefit moves a whole row of the matrix, and changes nothing.
    paid = costs - np.array([[0.0], [50.0]])
    torch.testing.assert_close(
        expected_cost(z, torch.tensor([0, 1]), paid, counts, plain=0.0), rows
    )


def test_expected_cost_refuses_what_it_cannot_use():
    with pytest.raises(ShapeError, match=r"costs have shape \(2, 2\)"):
        expected_cost(LOGITS, LABELS, np.eye(2), N)
    with pytest.raises(SettingsError, match="costs the same"):
        expected_cost(LOGITS, LABELS, np.ones((4, 4)), N)
    with pytest.raises(SettingsError, match="cost_sensitive: needs costs"):
        build_loss(parse_remedy("cost_sensitive"), N)
