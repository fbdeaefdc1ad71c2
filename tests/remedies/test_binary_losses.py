"""Losses for several labels a row: references, hand-worked values and the account of the prior."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from equipoise.errors import SettingsError, ShapeError
from equipoise.losses import for_labels_trainer
from equipoise.remedies.log_odds import log_odds, moved_by_training, sigmoid
from equipoise.remedies.losses.binary import binary_cross_entropy, label_weights
from equipoise.remedies.losses.binary_table import BINARY_LOSSES, build_binary_loss
from equipoise.remedies.source import source_log_odds
from equipoise.remedies.spec import parse_remedies, remedy_spec

from .checks.binary_losses import LABELS, NEUTRAL, drawn, loss_of


class TestEveryLoss:
    @pytest.mark.parametrize("name", BINARY_LOSSES)
    def test_neutral_settings_are_the_plain_loss(self, name: str) -> None:
        z, y = drawn()
        plain = bce(z, y.double(), reduction="none").mean(1)
        torch.testing.assert_close(binary_cross_entropy(z, y), plain)
        torch.testing.assert_close(loss_of(name, NEUTRAL[name], z, y), plain)

    def test_a_loss_for_one_label_is_not_one_for_several(self) -> None:
        with pytest.raises(SettingsError, match="is not a loss for several labels"):
            build_binary_loss(remedy_spec("focal"), LABELS)
        with pytest.raises(SettingsError, match="rows of one label, the other for rows of several"):
            parse_remedies(["class_weights", "binary_focal"])


class TestReferences:
    def test_weights_are_torchs_pos_weight_with_a_mean_of_1(self) -> None:
        z, y = drawn()
        counts = LABELS.sum(0)
        ratio = torch.tensor((6 - counts) / counts)
        theirs = bce(z, y.double(), pos_weight=ratio, reduction="none")
        scale = 6 / (2 * torch.tensor(6.0 - counts, dtype=torch.float64))
        ours = loss_of("binary_weighted", {"kind": "inverse"}, z, y)
        torch.testing.assert_close(ours, (theirs * scale).mean(1))

    def test_weights_by_hand(self) -> None:
        """4 of 6 rows have the first label: 6 / (2 × 2) without, 6 / (2 × 4) with."""
        without, with_ = label_weights(LABELS.sum(0), 6, "inverse", 0.999)
        np.testing.assert_allclose(without, [1.5, 0.75, 0.6])
        np.testing.assert_allclose(with_, [0.75, 1.5, 3.0])
        assert label_weights(np.array([0, 6]), 6, "inverse", 0.9).tolist() == [[1, 1], [1, 1]]

    def test_focal_by_its_formula(self) -> None:
        z, y = drawn()
        p = torch.sigmoid(z)
        right = torch.where(y > 0, p, 1 - p)
        formula = -((1 - right) ** 2) * right.log()
        torch.testing.assert_close(loss_of("binary_focal", {}, z, y), formula.mean(1))

    def test_asymmetric_by_its_formula(self) -> None:
        z, y = drawn()
        p = torch.sigmoid(z)
        q = (p - 0.05).clamp_min(0)
        formula = -(y * (1 - p) * p.log() + (1 - y) * q**4 * (1 - q).log()).mean(1)
        torch.testing.assert_close(
            loss_of("binary_asymmetric", {"gamma_positive": 1.0}, z, y), formula
        )

    def test_a_no_below_clip_costs_nothing_and_pulls_nothing(self) -> None:
        z = torch.tensor([[-3.0, -3.0, 0.0]], requires_grad=True)
        rows = loss_of("binary_asymmetric", {}, z, torch.tensor([[0, 1, 0]]))
        rows.sum().backward()
        assert z.grad is not None
        assert z.grad[0, 0] == 0
        assert z.grad[0, 1] < 0 < z.grad[0, 2]

    def test_distribution_balanced_by_its_parts(self) -> None:
        """As the paper's equations say, one row and label after the other."""
        z, y = drawn()
        counts, n = LABELS.sum(0), 6
        for row in range(12):
            total = 0.0
            together = sum(1 / counts[j] for j in range(3) if y[row, j])
            for k in range(3):
                r = (1 / counts[k]) / together if together else math.inf
                weight = 0.1 + (1 / (1 + math.exp(-10 * (r - 0.2))) if together else 1.0)
                taken = float(z[row, k]) + 0.05 * math.log(
                    (counts[k] + 0.5) / (n - counts[k] + 0.5)
                )
                if y[row, k]:
                    p = 1 / (1 + math.exp(-taken))
                    total += weight * (1 - p) ** 2 * -math.log(p)
                else:
                    p = 1 / (1 + math.exp(2 * taken))
                    total += weight / 2 * (1 - p) ** 2 * -math.log(p)
            ours = loss_of("distribution_balanced", {}, z[row : row + 1], y[row : row + 1])
            assert float(ours) == pytest.approx(total / 3)


class TestPrior:
    def test_log_odds_and_sigmoid(self) -> None:
        found = log_odds(np.array([0, 5, 10]), 10)
        np.testing.assert_allclose(found, [-math.log(21), 0, math.log(21)])
        np.testing.assert_allclose(sigmoid(np.array([-1000.0, 0.0, math.log(3)])), [0, 0.5, 0.75])

    def test_weights_put_the_source_where_both_answers_weigh_the_same(self) -> None:
        """With inverse weights a label on 4 of 6 rows and one on 1 of 6 count as if on half, but
        for the half row that log-odds add to either side."""
        specs = parse_remedies(["binary_weighted:kind=inverse"])
        found = source_log_odds(specs, np.repeat(LABELS, 2000, axis=0))
        np.testing.assert_allclose(found, 0, atol=1e-3)

    @pytest.mark.parametrize(
        ("name", "settings"),
        [
            ("binary_weighted", {"kind": "inverse"}),
            ("binary_weighted", {"kind": "sqrt"}),
            ("binary_focal", {"gamma": 0.0}),
            ("distribution_balanced", {"gamma": 0.0, "scale": 1.0, "kappa": 0.3}),
        ],
    )
    def test_the_account_is_where_training_ends(self, name: str, settings: dict[str, Any]) -> None:
        """A model that knows nothing of the text ends, label by label, at the stated log-odds."""
        rng = np.random.default_rng(0)
        labels = (rng.random((4000, 3)) < [0.5, 0.1, 0.02]).astype(np.int64)
        y = torch.from_numpy(labels)
        loss = build_binary_loss(remedy_spec(name, settings), labels)
        z = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([z], max_iter=100, line_search_fn="strong_wolfe")

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            total = loss(z.expand(4000, 3), y).mean()
            total.backward()
            return total

        optimizer.step(closure)
        stated = source_log_odds([remedy_spec(name, settings)], labels)
        np.testing.assert_allclose(z.detach().numpy(), stated, atol=0.02)

    def test_what_training_added_is_where_decisions_start(self) -> None:
        given = log_odds(np.array([10, 500]), 1000)
        source = given + np.array([1.5, 0.0])
        np.testing.assert_allclose(moved_by_training(source, given, given), [1.5, 0])
        assert moved_by_training(source, given, np.zeros(2)).tolist() == [0, 0]


class TestTrainersDoor:
    @pytest.mark.parametrize("name", ["binary_cross_entropy", *BINARY_LOSSES])
    def test_micro_batches_add_up_to_the_mean_over_rows(self, name: str) -> None:
        z, y = drawn()
        compute = for_labels_trainer(name, labels=LABELS)
        loss = build_binary_loss(None if name not in BINARY_LOSSES else remedy_spec(name), LABELS)
        whole = loss(z, y).mean()
        torch.testing.assert_close(compute({"logits": z}, y.float()), whole)
        # The Trainer counts 12 rows of 3 answers.
        parts = [compute((z[k : k + 4],), y[k : k + 4].float(), 36) for k in (0, 4, 8)]
        torch.testing.assert_close(sum(parts), whole)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"loss": "focal"}, "unknown loss 'focal' for several labels"),
            ({"loss": "binary_weighted"}, "needs labels="),
            ({"loss": "binary_focal", "gama": 1}, "did you mean gamma"),
            ({"loss": "binary_cross_entropy", "gamma": 1}, "unknown loss"),
            ({"loss": "distribution_balanced", "scale": 0}, "scale"),
            ({"labels": [0, 1, 2]}, "a table"),
            ({"labels": [[0, 2]]}, "a table"),
        ],
    )
    def test_faults(self, arguments: dict[str, Any], words: str) -> None:
        with pytest.raises((SettingsError, ShapeError), match=words):
            for_labels_trainer(**arguments)
