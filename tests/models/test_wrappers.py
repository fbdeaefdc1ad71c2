"""Wrappers of the loss act where they say, honour row weights, and draw alike after a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from equipoise.errors import SettingsError
from equipoise.fit import check_asked
from equipoise.fitting.places import check_places
from equipoise.models.cache import CacheSettings
from equipoise.models.config import ModelConfig, TrainConfig
from equipoise.models.passes import Pass
from equipoise.models.states import ensure_states
from equipoise.recipe import Recipe
from equipoise.remedies.losses import build_loss
from equipoise.remedies.losses.wrapping import PLACES, WRAPPERS, build_wrapper
from equipoise.remedies.spec import parse_remedies, parse_remedy
from tests.models.conftest import Bases
from tests.models.tiny import ARCHITECTURES, cross_entropy, easy_rows, make, make_feed, token_rows
from tests.models.tiny import weights_of as bytes_of
from tests.models.training import train
from tests.remedies.checks.wrappers import check_neutral, check_weight_of_all_rows

ROWS = easy_rows(44)
COUNTS = np.bincount(ROWS.labels)


def feed_for(classifier: Any, base: Any, rows: Any, folder: Path, *, cached: bool) -> Any:
    states = None
    if cached:
        settings = CacheSettings(folder / "cache", 10**9)
        states = ensure_states(classifier, base, token_rows(base, rows), settings)
        assert states is not None
    return make_feed(base, rows, states=states)


def batch_of(
    bases: Bases,
    folder: Path,
    architecture: str = "bert",
    method: str = "full",
    *,
    cached: bool = False,
    **settings: Any,
) -> tuple[Any, dict[str, Tensor], Tensor, Tensor]:
    """Classifier in evaluation mode, inputs of eight rows of different lengths, labels, weights."""
    classifier, base, _, _ = make(bases(architecture, 3), method=method, dropout=0.0, **settings)
    feed = feed_for(classifier, base, ROWS, folder, cached=cached)
    if cached:
        classifier.cut.skip_lower()
    inputs = feed.batch(np.arange(8, 16))
    labels, weights, _ = (inputs.pop(name) for name in ("labels", "weights", "counts"))
    weights = weights * torch.arange(8)  # one row weighs nothing
    return classifier.eval(), inputs, labels, weights


def wrapped(text: str, *given: Any, seed: int = 0) -> Tensor:
    wrapper = build_wrapper(parse_remedy(text), COUNTS)
    assert wrapper is not None
    return wrapper(*given, np.random.default_rng(seed))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_words_put_back_change_nothing(bases: Bases, tmp_path: Path, architecture: str) -> None:
    for method, cached in (("full", False), ("light", False), ("light", True)):
        model, inputs, _, _ = batch_of(bases, tmp_path, architecture, method, cached=cached)
        run = Pass(model, model, inputs)
        with torch.no_grad():
            plain = run()
            torch.testing.assert_close(run(words=run.words()), plain, rtol=1e-5, atol=1e-6)
            assert not torch.allclose(run(words=run.words().flip(2)), plain, atol=1e-3)
            torch.testing.assert_close(run(change_vectors=lambda v: v), plain, rtol=0, atol=0)
            assert torch.equal(run(), plain)  # nothing is left behind


@pytest.mark.parametrize("method", ["lora", "prompt", "prefix", "adapter", "ia3"])
def test_words_put_back_change_nothing_under_added_weights(
    bases: Bases, tmp_path: Path, method: str
) -> None:
    model, inputs, _, _ = batch_of(bases, tmp_path, "bert", method)
    run = Pass(model, model, inputs)
    with torch.no_grad():
        plain = run()
        torch.testing.assert_close(run(words=run.words()), plain, rtol=1e-5, atol=1e-6)
        assert not torch.allclose(run(words=run.words().flip(2)), plain, atol=1e-3)


@pytest.mark.parametrize("cached", [False, True])
def test_states_at_the_cut_are_the_same_from_cache_or_model(
    bases: Bases, tmp_path: Path, cached: bool
) -> None:
    model, inputs, _, _ = batch_of(bases, tmp_path, "bert", "light", cached=cached)
    found = Pass(model, model, inputs).words()
    whole, plain_inputs, _, _ = batch_of(bases, tmp_path, "bert", "full")
    with torch.no_grad():
        out = whole.body(**plain_inputs, output_hidden_states=True).hidden_states
    mask = plain_inputs["attention_mask"][..., None]
    torch.testing.assert_close(found, out[model.cut.number] * mask, rtol=1e-5, atol=1e-5)


def test_feature_mixup_by_hand(bases: Bases, tmp_path: Path) -> None:
    model, inputs, labels, weights = batch_of(bases, tmp_path)
    found = wrapped(
        "feature_mixup", Pass(model, model, inputs), labels, weights, cross_entropy, seed=4
    )
    rng = np.random.default_rng(4)
    share, partner = rng.beta(1, 1), torch.from_numpy(rng.permutation(8))
    with torch.no_grad():
        vectors = model.vectors(**inputs)
        log_p = torch.log_softmax(model.head(share * vectors + (1 - share) * vectors[partner]), 1)
    for row in range(8):
        other = int(partner[row])
        expected = -share * weights[row] * log_p[row, labels[row]]
        expected = expected - (1 - share) * weights[other] * log_p[row, labels[other]]
        assert found[row].item() == pytest.approx(expected.item(), rel=1e-5)


def test_word_mixup_by_hand(bases: Bases, tmp_path: Path) -> None:
    """transformers takes embeddings itself; BERT's positions count from the left."""
    model, inputs, labels, weights = batch_of(bases, tmp_path)
    found = wrapped(
        "word_mixup", Pass(model, model, inputs), labels, weights, cross_entropy, seed=4
    )
    rng = np.random.default_rng(4)
    share, partner = rng.beta(1, 1), torch.from_numpy(rng.permutation(8))
    mask = inputs["attention_mask"]
    with torch.no_grad():
        words = model.body.embeddings.word_embeddings(inputs["input_ids"]) * mask[..., None]
        mixed = share * words + (1 - share) * words[partner]
        longer = torch.maximum(mask, mask[partner])
        assert (longer.sum(1) > mask.sum(1)).any()
        states = model.body(inputs_embeds=mixed, attention_mask=longer).last_hidden_state
        pooled = (states * longer[..., None]).sum(1) / longer.sum(1, keepdim=True)
        log_p = torch.log_softmax(model.head(pooled), 1)
    expected = -share * weights * log_p.gather(1, labels[:, None])[:, 0]
    expected -= (1 - share) * weights[partner] * log_p.gather(1, labels[partner][:, None])[:, 0]
    torch.testing.assert_close(found.double(), expected.double(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", WRAPPERS)
@pytest.mark.parametrize(("method", "cached"), [("full", False), ("light", False), ("light", True)])
def test_all_rows_together_count_what_they_weigh(
    bases: Bases, tmp_path: Path, name: str, method: str, cached: bool
) -> None:
    model, inputs, labels, weights = batch_of(bases, tmp_path, "bert", method, cached=cached)
    check_weight_of_all_rows(name, {}, COUNTS, Pass(model, model, inputs), labels, weights)


@pytest.mark.parametrize("name", WRAPPERS)
def test_settings_that_leave_the_loss_alone(bases: Bases, tmp_path: Path, name: str) -> None:
    model, inputs, labels, weights = batch_of(bases, tmp_path)
    check_neutral(name, COUNTS, Pass(model, model, inputs), labels, weights)


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_row_alone_is_its_own_partner(bases: Bases, tmp_path: Path, name: str) -> None:
    model, inputs, labels, weights = batch_of(bases, tmp_path)
    alone = {key: value[3:4] for key, value in inputs.items()}
    rows = wrapped(name, Pass(model, model, alone), labels[3:4], weights[3:4], cross_entropy)
    plain = weights[3] * cross_entropy(model(**alone), labels[3:4])
    if name == "adversarial":
        assert rows.item() > plain.item()
    else:
        torch.testing.assert_close(rows.double(), plain.double(), rtol=1e-5, atol=1e-7)


def test_remix_lets_the_label_follow_the_rarer_class(bases: Bases, tmp_path: Path) -> None:
    """A loss that tells which label it was asked for shows each label's share."""
    model, inputs, _, _ = batch_of(bases, tmp_path)
    labels, weights = torch.arange(8) % 2, torch.ones(8, dtype=torch.float64)

    def rare(logits: Tensor, labels: Tensor) -> Tensor:
        return labels.double()

    for seed in range(6):
        rng = np.random.default_rng(seed)
        share, partner = rng.beta(1, 1), torch.from_numpy(rng.permutation(8))
        for counts, remix in (([30, 10, 5], 3.0), ([30, 11, 5], 3.0), ([30, 10, 5], None)):
            setting = "" if remix is None else f":remix={remix},remix_share=0.6"
            wrapper = build_wrapper(parse_remedy(f"feature_mixup{setting}"), np.array(counts))
            assert wrapper is not None
            run, draw = Pass(model, model, inputs), np.random.default_rng(seed)
            found = wrapper(run, labels, weights, rare, draw)
            for row in range(8):
                own, other = int(labels[row]), int(labels[partner[row]])
                kept = share
                if remix == 3.0 and counts[1] == 10 and own != other:
                    frequent = share if own == 0 else 1 - share
                    kept = kept if frequent >= 0.6 else float(own)
                assert found[row].item() == pytest.approx(kept * own + (1 - kept) * other)


@pytest.mark.parametrize(("method", "cached"), [("full", False), ("lora", False), ("light", True)])
def test_the_adversary_steps_as_far_as_it_may_and_up(
    bases: Bases, tmp_path: Path, method: str, cached: bool
) -> None:
    model, inputs, labels, _ = batch_of(bases, tmp_path, "bert", method, cached=cached)
    seen: list[Tensor] = []

    class Watched(Pass):
        def __call__(self, **given: Any) -> Tensor:
            seen.append(given["words"].detach())
            return super().__call__(**given)

    model.requires_grad_(True)
    given = Watched(model, model, inputs), labels, torch.ones(8)
    rows = wrapped("adversarial:epsilon=0.01,share=1", *given, cross_entropy)
    before, after = seen
    step = (after - before).flatten(1).norm(dim=1) / before.flatten(1).norm(dim=1)
    torch.testing.assert_close(step, torch.full((8,), 0.01), rtol=1e-3, atol=0)
    padding = inputs["attention_mask"] == 0
    assert padding.any()
    assert torch.equal(after[padding], before[padding])
    plain = cross_entropy(model(**inputs), labels)
    assert (rows > plain).all()
    # A random step of the same length does less harm.
    noise = torch.randn(before.shape, generator=torch.Generator().manual_seed(0))
    noise[padding] = 0
    length = 0.01 * before.flatten(1).norm(dim=1) / noise.flatten(1).norm(dim=1)
    run = Pass(model, model, inputs)
    random = cross_entropy(run(words=before + length[:, None, None] * noise), labels)
    assert (rows - plain > (random - plain).abs()).all()


@pytest.mark.parametrize("scale", [0.0, 1e-30])
def test_the_adversary_leaves_rows_without_a_slope_where_they_are(
    bases: Bases, tmp_path: Path, scale: float
) -> None:
    """A loss of 0, and one whose squared gradients vanish in float32."""
    model, inputs, labels, _ = batch_of(bases, tmp_path)
    model.requires_grad_(True)
    weights = torch.ones(8, requires_grad=True)

    def nearly_right(logits: Tensor, labels: Tensor) -> Tensor:
        return scale * cross_entropy(logits, labels)

    seen = []

    class Watched(Pass):
        def __call__(self, **given: Any) -> Tensor:
            seen.append(given["words"].detach())
            return super().__call__(**given)

    given = Watched(model, model, inputs), labels, weights
    rows = wrapped("adversarial:epsilon=0.05", *given, nearly_right)
    rows.sum().backward()
    before, after = seen
    step = (after - before).flatten(1).norm(dim=1) / before.flatten(1).norm(dim=1)
    torch.testing.assert_close(step, torch.full((8,), 0.05 if scale else 0.0), rtol=1e-3, atol=0)
    assert torch.isfinite(rows).all()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize(
    ("method", "remedies"),
    [
        ("full", ["feature_mixup", "ldam:defer=0.5"]),
        ("full", ["word_mixup", "focal"]),
        ("light", ["word_mixup:alpha=0.5", "seesaw"]),
        ("lora", ["adversarial"]),
        ("head", ["feature_mixup:remix=2", "logit_adjusted"]),
    ],
)
def test_a_training_that_is_resumed_draws_the_same(
    bases: Bases, tmp_path: Path, method: str, remedies: list[str]
) -> None:
    """Stopped in the middle of the second epoch, dropout on, two micro-batches a step."""
    specs = parse_remedies(remedies)
    wrapper = build_wrapper(next(s for s in specs if s.name in WRAPPERS), COUNTS)
    loss = build_loss(next((s for s in specs if s.name not in WRAPPERS), None), COUNTS)
    after = []
    for name, stop in (("whole", None), ("stopped", 9), ("plain", None)):

        def stepped(step: int, _: int, stop: int | None = stop) -> None:
            if step == stop and not (tmp_path / "died").exists():
                (tmp_path / "died").touch()
                raise KeyboardInterrupt

        for attempt in range(1 if stop is None else 2):
            classifier, base, _, _ = make(bases("bert", 3), method=method, dropout=0.2)
            feed = feed_for(classifier, base, ROWS, tmp_path, cached=method in ("light", "head"))
            if method == "head":
                feed = make_feed(base, ROWS, states=feed.states, vectors_only=True)
            given: dict[str, Any] = {"stepped": stepped, "device_rows": 4, "rates": (3e-3, 3e-3)}
            if name != "plain":
                given |= {"row_loss": loss, "wrapper": wrapper}
            try:
                train(classifier, feed, tmp_path / name, epochs=3, **given)
            except KeyboardInterrupt:
                assert attempt == 0
        after.append(bytes_of(classifier))
    assert (tmp_path / "died").exists()
    assert after[0] == after[1]
    assert after[0] != after[2]


@pytest.mark.parametrize(("method", "name"), [("full", "adversarial"), ("light", "word_mixup")])
def test_activations_computed_twice_give_the_same(
    bases: Bases, tmp_path: Path, method: str, name: str
) -> None:
    """The adversary's gradient goes back through layers that are computed again, and once more."""
    after = []
    for checkpointing in (False, True):
        classifier, base, _, _ = make(bases("bert", 3), method=method, dropout=0.0)
        feed = feed_for(classifier, base, ROWS, tmp_path, cached=method == "light")
        train(
            classifier,
            feed,
            tmp_path / str(checkpointing),
            epochs=1,
            rates=(1e-3, 1e-3),
            wrapper=build_wrapper(parse_remedy(name), COUNTS),
            gradient_checkpointing=checkpointing,
        )
        after.append({n: p.detach().clone() for n, p in classifier.named_parameters()})
    for key, weight in after[0].items():
        torch.testing.assert_close(after[1][key], weight, rtol=0, atol=1e-4)


def test_what_has_no_place_to_act_is_refused() -> None:
    assert set(PLACES) == set(WRAPPERS)
    train = TrainConfig()
    head, native = ModelConfig(method="head"), ModelConfig(method="full", head="native")
    for text in ("word_mixup", "adversarial"):
        with pytest.raises(SettingsError, match=f"{text}: acts on words.*method head"):
            check_places(head, train, parse_remedies([text]))
        check_places(native, train, parse_remedies([text]))
    with pytest.raises(SettingsError, match="feature_mixup: acts on the vectors"):
        check_places(native, train, parse_remedies(["feature_mixup", "temperature"]))
    check_places(head, train, parse_remedies(["feature_mixup", "focal"]))
    alone = TrainConfig(device_rows=1)
    for text in ("feature_mixup", "word_mixup"):
        with pytest.raises(SettingsError, match=f"{text}: mixes rows of one micro-batch"):
            check_places(ModelConfig(), alone, parse_remedies([text]))
    check_places(ModelConfig(), alone, parse_remedies(["adversarial"]))
    # Before any row is read.
    with pytest.raises(SettingsError, match="word_mixup: acts on words"):
        check_asked(Recipe(model=head, remedies=("word_mixup",)), None, 0)


def test_a_loss_is_wrapped_once_and_by_a_wrapper() -> None:
    with pytest.raises(SettingsError, match="a loss is wrapped once"):
        parse_remedies(["feature_mixup", "adversarial"])
    assert len(parse_remedies(["logit_adjusted", "adversarial"])) == 2
    with pytest.raises(SettingsError, match="not a wrapper"):
        build_wrapper(parse_remedy("focal"), COUNTS)
    with pytest.raises(SettingsError, match="not a loss"):
        build_loss(parse_remedy("adversarial"), COUNTS)
    assert build_wrapper(None, COUNTS) is None
