"""Labels as text: the tree gives what one pass per label would give, for every architecture and
method, in training, from the cache and read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from equipoise.errors import ModelError
from equipoise.models import label_text, vocabulary
from equipoise.models.cache import CacheSettings
from equipoise.models.config import ModelConfig
from equipoise.models.label_text import LabelText, takes_tree
from equipoise.models.label_tree import make_tree
from equipoise.models.load import Base, find_base
from equipoise.models.outputs import predict_feed
from equipoise.models.predict import predict_logits
from equipoise.models.save import load_classifier, save_classifier
from equipoise.models.states import ensure_states
from tests.models.conftest import Bases
from tests.models.label_bases import (
    CLASSES,
    TEXTS,
    by_brute_force,
    make_text,
    save_writer,
    text_feed,
)
from tests.models.tiny import DECODERS, cross_entropy, easy_rows, weights_of
from tests.models.training import train

METHODS = ("full", "light", "lora", "rslora", "dora", "ia3", "adapter")


@pytest.fixture(scope="module")
def writers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """writers("llama"): the folder of that tiny base."""
    made: dict[str, Path] = {}

    def get(architecture: str) -> Path:
        if architecture not in made:
            folder = tmp_path_factory.mktemp("writers") / architecture
            made[architecture] = save_writer(folder, architecture)
        return made[architecture]

    return get


def reference(classifier: LabelText, base: Base, classes: tuple[str, ...]) -> NDArray[np.float64]:
    """Prompts and labels put together by hand."""
    tokenizer = base.tokenizer
    prompts = [tokenizer(f"{text}\nLabel:")["input_ids"] for text in TEXTS]
    labels = [
        [*tokenizer(f" {name.replace('_', ' ')}", add_special_tokens=False)["input_ids"], 2]
        for name in classes
    ]
    return by_brute_force(classifier, prompts, labels)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    p = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(p / p.sum(1, keepdims=True))


def random_classes(seed: int) -> tuple[str, ...]:
    """Names of few letters, so that many share their beginnings or are another's."""
    rng = np.random.default_rng(seed)
    letters = list("abé支 ")
    made = {"".join(rng.choice(letters, size=rng.integers(1, 6))).strip() for _ in range(12)}
    return tuple(sorted(made - {""}))


class TestScores:
    @pytest.mark.parametrize(
        ("architecture", "kernel"),
        [*((name, "own") for name in DECODERS), ("llama", "eager"), ("gemma3", "eager")],
    )
    def test_are_those_of_brute_force(self, writers: Any, architecture: str, kernel: str) -> None:
        classifier, base, prompt, notes = make_text(writers(architecture))
        if kernel == "eager":
            classifier.body.set_attn_implementation("eager")  # type: ignore[operator]
        assert classifier.one_pass
        assert notes == []
        found = predict_feed(classifier, text_feed(base, prompt, TEXTS))
        wanted = reference(classifier, base, CLASSES)
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-5)
        np.testing.assert_allclose(softmax(found), softmax(wanted), rtol=0, atol=1e-5)
        assert softmax(wanted).max() < 0.9999, "with one class certain, little would be shown"

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("architecture", ["llama", "gpt2"])
    def test_of_random_labels(self, writers: Any, architecture: str, seed: int) -> None:
        classes = random_classes(seed)
        classifier, base, prompt, _ = make_text(writers(architecture), classes)
        assert len(prompt.tree) < sum(len(prompt.tree.label(k)) for k in range(len(classes)))
        found = predict_feed(classifier, text_feed(base, prompt, TEXTS))
        wanted = reference(classifier, base, classes)
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-5)

    @pytest.mark.parametrize("architecture", ["llama", "gemma2", "mistral", "gpt2"])
    def test_one_pass_per_label_gives_the_same(self, writers: Any, architecture: str) -> None:
        classifier, base, prompt, _ = make_text(writers(architecture))
        feed = text_feed(base, prompt, TEXTS)
        by_tree = predict_feed(classifier, feed)
        classifier.one_pass = False
        np.testing.assert_allclose(predict_feed(classifier, feed), by_tree, rtol=1e-6, atol=1e-5)

    @pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt2"])
    @pytest.mark.parametrize("one_pass", [True, False])
    def test_padding_does_not_matter(self, writers: Any, architecture: str, one_pass: bool) -> None:
        classifier, base, prompt, _ = make_text(writers(architecture))
        classifier.one_pass = one_pass
        classifier.eval()
        batch = text_feed(base, prompt, TEXTS).batch(np.arange(len(TEXTS)))
        ids, mask = batch["input_ids"], batch["attention_mask"]
        wide = torch.nn.functional.pad(ids, (0, 5), value=7), torch.nn.functional.pad(mask, (0, 5))
        turned = [
            torch.stack(
                [row.roll(int((1 - own).sum())) for row, own in zip(part, wide[1], strict=True)]
            )
            for part in wide
        ]
        with torch.no_grad():
            right, left = classifier(*wide), classifier(*turned)
            alone = torch.cat(
                [classifier(i[m > 0][None], m[m > 0][None]) for i, m in zip(ids, mask, strict=True)]
            )
            vectors = classifier.vectors(*wide), classifier.vectors(*turned)
        torch.testing.assert_close(right, alone, rtol=1e-6, atol=1e-5)
        torch.testing.assert_close(left, alone, rtol=1e-6, atol=1e-5)
        torch.testing.assert_close(*vectors, rtol=1e-5, atol=1e-5)

    def test_the_order_of_classes_changes_no_score(self, writers: Any) -> None:
        order = np.random.default_rng(0).permutation(len(CLASSES))
        scores = []
        for classes in (CLASSES, tuple(CLASSES[k] for k in order)):
            classifier, base, prompt, _ = make_text(writers("llama"), classes)
            scores.append(predict_feed(classifier, text_feed(base, prompt, TEXTS)))
        assert scores[0][:, order].tobytes() == scores[1].tobytes()

    def test_scores_in_parts_are_the_same_and_so_are_gradients(
        self, writers: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        classifier, base, prompt, _ = make_text(writers("gemma2"))
        classifier.eval()
        batch = text_feed(base, prompt, TEXTS).batch(np.arange(len(TEXTS)))
        found = []
        for at_once in (1 << 24, 330 * len(TEXTS) * 4, 1):
            monkeypatch.setattr(vocabulary, "_AT_ONCE", at_once)
            classifier.zero_grad()
            logits = classifier(batch["input_ids"], batch["attention_mask"])
            cross_entropy(logits, torch.tensor([0, 3, 6, 7])).sum().backward()  # type: ignore[no-untyped-call]
            gradients = [p.grad.clone() for p in classifier.parameters() if p.grad is not None]
            assert all(bool(g.isfinite().all()) for g in gradients)
            assert len(gradients) == len(list(classifier.parameters()))
            found.append((logits.detach(), gradients))
        for logits, gradients in found[1:]:
            torch.testing.assert_close(logits, found[0][0], rtol=1e-6, atol=1e-5)
            for one, other in zip(gradients, found[0][1], strict=True):
                torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)

    def test_gradients_are_those_of_one_pass_per_label(self, writers: Any) -> None:
        """In float64, and by the one architecture that computes nothing in float32 of its own."""
        classifier, base, prompt, _ = make_text(writers("gpt2"))
        classifier.double().eval()
        batch = text_feed(base, prompt, TEXTS).batch(np.arange(len(TEXTS)))
        found = []
        for one_pass in (True, False):
            classifier.one_pass = one_pass
            classifier.zero_grad()
            logits = classifier(batch["input_ids"], batch["attention_mask"])
            cross_entropy(logits, torch.tensor([0, 3, 6, 7])).sum().backward()  # type: ignore[no-untyped-call]
            found.append([p.grad.clone() for p in classifier.parameters() if p.grad is not None])
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)

    def test_probabilities_of_all_that_can_be_written_are_at_most_one(self, writers: Any) -> None:
        classifier, base, prompt, _ = make_text(writers("qwen2"))
        found = predict_feed(classifier, text_feed(base, prompt, TEXTS))
        assert (np.exp(found).sum(1) <= 1).all()


class TestTree:
    def test_by_hand(self) -> None:
        """Labels 5, 5 6 and 7: nodes 5, 5 6, 7; and the ends behind each."""
        tree = make_tree([[5, 6], [7], [5]], end=9)
        assert tree.tokens.tolist() == [5, 6, 7]
        assert tree.parents.tolist() == [-1, 0, -1]
        assert tree.depths.tolist() == [1, 2, 1]
        assert tree.ancestors.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
        assert list(zip(tree.edge_places.tolist(), tree.edge_tokens.tolist(), strict=True)) == [
            (0, 5),
            (0, 7),
            (1, 6),
            (1, 9),
            (2, 9),
            (3, 9),
        ]
        assert tree.paths.tolist() == [[0, 2, 4], [1, 5, -1], [0, 3, -1]]
        assert [tree.label(k) for k in range(3)] == [[5, 6, 9], [7, 9], [5, 9]]

    def test_equal_tokens_that_hang_otherwise_have_another_name(self) -> None:
        chain, apart = make_tree([[5, 6]], end=9), make_tree([[5], [6]], end=9)
        assert chain.tokens.tolist() == apart.tokens.tolist()
        assert chain.fingerprint != apart.fingerprint


class TestWithoutATree:
    def test_a_model_that_counts_positions_itself_is_found_out(
        self, writers: Any, tmp_path: Path
    ) -> None:
        """BLOOM takes no positions and bends attention by distance in the sequence."""
        from transformers import BloomConfig, BloomForCausalLM

        _, base, _, _ = make_text(writers("gpt2"))
        torch.manual_seed(0)
        config = BloomConfig(vocab_size=len(base.tokenizer), hidden_size=32, n_layer=2, n_head=4)
        model = BloomForCausalLM(config)
        model.save_pretrained(tmp_path / "bloom")
        base.tokenizer.save_pretrained(tmp_path / "bloom")
        for method in ("full", "light"):
            classifier, own, prompt, notes = make_text(tmp_path / "bloom", method=method)
            assert not classifier.one_pass
            assert "BloomForCausalLM: does not take the labels as a tree" in notes[0]
            feed = text_feed(own, prompt, TEXTS)
            wanted = reference(classifier, own, CLASSES)
            found = predict_feed(classifier, feed)
            np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-5)
            assert feed.tokens is not None
            if method == "light":
                settings = CacheSettings(tmp_path, 10**9)
                assert ensure_states(classifier, own, feed.tokens, settings) is None
            train(classifier, feed, tmp_path / method, epochs=1)
            assert np.abs(predict_feed(classifier, feed) - found).max() > 1e-3

    def test_wrong_positions_and_masks_are_found_out(
        self, writers: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        classifier, _, _, _ = make_text(writers("llama"))
        assert takes_tree(classifier)
        classifier._extra = frozenset({"use_cache"})
        assert not takes_tree(classifier)
        classifier, _, _, _ = make_text(writers("mistral"))
        monkeypatch.setattr(label_text, "_window", lambda body: (None, None))
        assert not takes_tree(classifier)

    def test_unknown_kinds_of_layers_are_not_tried(self, writers: Any) -> None:
        classifier, _, _, _ = make_text(writers("llama"))
        body: Any = classifier.body
        body.config.layer_types = ["full_attention", "linear_attention", "full_attention"]
        assert not takes_tree(classifier)


class TestMethods:
    @pytest.mark.parametrize(
        ("architecture", "method"),
        [*(("llama", method) for method in METHODS), ("gpt2", "light"), ("gpt2", "lora")],
    )
    def test_learn_and_give_the_same_bytes_read_back(
        self, writers: Any, tmp_path: Path, architecture: str, method: str
    ) -> None:
        rows = easy_rows(48)
        classifier, base, prompt, _ = make_text(writers(architecture), rows.classes, method=method)
        states = None
        feed = text_feed(base, prompt, rows.texts, rows.labels)
        if method == "light":
            assert feed.tokens is not None
            states = ensure_states(classifier, base, feed.tokens, CacheSettings(tmp_path, 10**9))
            assert states is not None
        before = weights_of(classifier)

        def loss() -> float:
            logits = torch.from_numpy(predict_feed(classifier, feed))
            return float(cross_entropy(logits, torch.from_numpy(rows.labels)).mean())

        first = loss()
        fed = text_feed(base, prompt, rows.texts, rows.labels, states)
        rate = 5e-2 if method == "ia3" else 5e-3
        train(classifier, fed, tmp_path / "training", epochs=3, rates=(rate, rate))
        assert loss() < 0.7 * first
        moved = {name for name, weight in weights_of(classifier).items() if weight != before[name]}
        trained = {name for name, p in classifier.named_parameters() if p.requires_grad}
        assert moved <= trained
        assert method == "full" or not any("embed" in n or "lm_head" in n for n in trained)

        settings = ModelConfig(name=base.name, head="text", method=method)  # type: ignore[arg-type]
        save_classifier(tmp_path / "run", classifier, base, settings, rows.classes)
        loaded = load_classifier(tmp_path / "run")
        again = predict_logits(loaded, rows.texts)
        assert again.tobytes() == predict_feed(classifier, feed).tobytes()

    def test_the_saved_model_writes_with_transformers_alone(
        self, writers: Any, tmp_path: Path
    ) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        classifier, base, _, _ = make_text(writers("gemma"))
        settings = ModelConfig(name=base.name, head="text", method="full")
        save_classifier(tmp_path, classifier, base, settings, CLASSES)
        model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
        ids = tokenizer(f"{TEXTS[0]}\nLabel: bank{tokenizer.eos_token}", return_tensors="pt")
        with torch.no_grad():
            log_p = model(**ids).logits[0, :-1].log_softmax(-1)
        taken = log_p[torch.arange(len(log_p)), ids["input_ids"][0, 1:]]
        asked = len(tokenizer(f"{TEXTS[0]}\nLabel:")["input_ids"]) - 1
        found = predict_logits(load_classifier(tmp_path), np.array(TEXTS, dtype=object))
        assert found[0, CLASSES.index("bank")] == pytest.approx(float(taken[asked:].sum()), 1e-5)

    @pytest.mark.parametrize("architecture", ["llama", "gemma3", "mistral", "gpt2"])
    def test_cached_states_give_the_same_scores(
        self, writers: Any, tmp_path: Path, architecture: str
    ) -> None:
        classifier, base, prompt, _ = make_text(writers(architecture), method="light")
        feed = text_feed(base, prompt, TEXTS)
        whole = predict_feed(classifier, feed)
        assert feed.tokens is not None
        states = ensure_states(classifier, base, feed.tokens, CacheSettings(tmp_path, 10**9))
        assert states is not None
        assert classifier.cut is not None
        classifier.cut.skip_lower()
        cached = predict_feed(classifier, text_feed(base, prompt, TEXTS, states=states))
        np.testing.assert_allclose(cached, whole, rtol=1e-6, atol=1e-5)

    def test_states_of_another_tree_are_not_read(self, writers: Any, tmp_path: Path) -> None:
        """The same token ids, as a chain and apart, are other states."""
        folder = writers("llama")
        settings = CacheSettings(tmp_path, 10**9)
        for classes in (("a b",), ("a", "b")):
            classifier, base, prompt, _ = make_text(folder, classes, method="light")
            tokens = text_feed(base, prompt, TEXTS).tokens
            assert tokens is not None
            assert ensure_states(classifier, base, tokens, settings) is not None
        assert len(list(tmp_path.glob("*/"))) == 2

    def test_a_half_done_training_goes_on_to_the_same_bytes(
        self, writers: Any, tmp_path: Path
    ) -> None:
        rows = easy_rows(24)
        weights = []
        for name in ("whole", "halved"):
            classifier, base, prompt, _ = make_text(writers("llama"), rows.classes, dropout=0.1)
            feed = text_feed(base, prompt, rows.texts, rows.labels)

            def die(step: int, _: int) -> None:
                if step == 5:
                    raise KeyboardInterrupt

            if name == "halved":
                with pytest.raises(KeyboardInterrupt):
                    train(classifier, feed, tmp_path / name, stepped=die)
                classifier, _, _, _ = make_text(writers("llama"), rows.classes, dropout=0.1)
            train(classifier, feed, tmp_path / name)
            weights.append(weights_of(classifier))
        assert weights[0] == weights[1]

    def test_encoders_and_bases_without_a_writing_head_are_refused(
        self, bases: Bases, writers: Any, tmp_path: Path
    ) -> None:
        with pytest.raises(ModelError, match="is an encoder, and --head text needs a decoder"):
            find_base(ModelConfig(name=str(bases("bert")), head="text", method="full"))
        from transformers import AutoModel

        AutoModel.from_pretrained(writers("llama")).save_pretrained(tmp_path)
        _, base, _, _ = make_text(writers("llama"))
        base.tokenizer.save_pretrained(tmp_path)
        with pytest.raises(ModelError, match=r"no weights for lm_head.weight, so it can't write"):
            make_text(tmp_path)
