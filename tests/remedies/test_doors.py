"""The losses and samplers in a stock Trainer."""

import itertools
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard, SkipBatchSampler
from torch.utils.data import BatchSampler, DataLoader
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from equipoise import losses, samplers
from equipoise.errors import DataError, SettingsError, ShapeError
from equipoise.losses import for_trainer
from equipoise.samplers import (
    OrderSampler,
    SamplerMixin,
    balanced_sampler,
    group_balanced_sampler,
    natural_sampler,
    plentiful_first_sampler,
    presence_sampler,
    progressive_sampler,
    sampler_for,
    sqrt_sampler,
    temperature_sampler,
)

EXAMPLE = Path(__file__).parents[2] / "examples" / "trainer_losses.py"
LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [15, 5, 3]))


class Rows(torch.utils.data.Dataset):
    """23 rows of five tokens, which hint at the class."""

    def __init__(self):
        draw = np.random.default_rng(1)
        self.ids = draw.integers(3, 20, (len(LABELS), 5))
        self.ids[:, 0] = LABELS

    def __len__(self):
        return len(LABELS)

    def __getitem__(self, row):
        return {
            "input_ids": torch.tensor(self.ids[row]),
            "labels": torch.tensor(LABELS[row]),
        }


class BalancedTrainer(SamplerMixin, Trainer):
    seen: list


def tiny_bert(dropout=0.1):
    set_seed(0)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=20,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=8,
            num_labels=3,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
        )
    )


def arguments(folder, **more):
    more = {"save_strategy": "no", "num_train_epochs": 1, "per_device_train_batch_size": 4} | more
    return TrainingArguments(
        str(folder),
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
        dataloader_pin_memory=False,
        **more,
    )


# ── losses ────────────────────────────────────────────────────────────────────────────────────


class Gradients(TrainerCallback):
    """The gradients of every optimizer step, before they are used."""

    def __init__(self):
        self.steps = []

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.steps.append(torch.cat([p.grad.flatten() for p in model.parameters()]).clone())


WAYS = {
    "plain": {},
    "logit_adjusted": {"loss": "logit_adjusted"},
    "class weights": {"class_weights": "inverse"},
    "own function": {"loss": losses.focal_cross_entropy, "gamma": 1.0, "class_weights": "sqrt"},
}


@pytest.mark.parametrize("way", WAYS)
def test_gradients_do_not_depend_on_accumulation(way, tmp_path):
    """Eight rows a step in 1, 2 or 4 micro-batches; the last step of the 23 rows holds 7."""
    found = []
    for pieces in (1, 2, 4):
        gradients = Gradients()
        BalancedTrainer(
            model=tiny_bert(dropout=0.0).double(),
            args=arguments(
                tmp_path,
                per_device_train_batch_size=8 // pieces,
                gradient_accumulation_steps=pieces,
                max_grad_norm=0,
                learning_rate=0.0,
            ),
            train_dataset=Rows(),
            sampler=natural_sampler(23, epochs=1, seed=0),
            compute_loss_func=for_trainer(labels=LABELS, **WAYS[way]),
            callbacks=[gradients],
        ).train()
        assert len(gradients.steps) == 3
        found.append(torch.stack(gradients.steps))
    for other in found[1:]:
        assert (other - found[0]).norm() <= 1e-10 * found[0].norm()
    assert found[0].norm() > 0


def test_the_step_is_the_weighted_sum_over_its_rows_divided_once(tmp_path):
    """Against plain torch on the same eight rows."""
    gradients = Gradients()
    model = tiny_bert(dropout=0.0).double()
    sampler = natural_sampler(23, epochs=1, seed=0)
    BalancedTrainer(
        model=model,
        args=arguments(tmp_path, gradient_accumulation_steps=2, max_steps=1, max_grad_norm=0),
        train_dataset=Rows(),
        sampler=sampler,
        compute_loss_func=for_trainer(labels=LABELS, class_weights="inverse"),
        callbacks=[gradients],
    ).train()
    model = tiny_bert(dropout=0.0).double()
    rows = sampler.order[0, :8]
    weights = torch.from_numpy(len(LABELS) / (3 * np.bincount(LABELS)))
    logits = model(input_ids=torch.tensor(Rows().ids[rows])).logits
    labels = torch.tensor(LABELS[rows])
    loss = torch.nn.functional.cross_entropy(logits, labels, weights, reduction="sum") / 8
    loss.backward()
    expected = torch.cat([p.grad.flatten() for p in model.parameters()])
    torch.testing.assert_close(gradients.steps[0], expected, rtol=1e-10, atol=1e-14)


def outputs(rows=4):
    return {"logits": torch.randn(rows, 3, generator=torch.Generator().manual_seed(0))}


def test_ignored_rows_and_counts_of_items():
    compute = for_trainer()
    labels = torch.tensor([0, -100, 2, 1])
    logits = outputs()["logits"]
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    torch.testing.assert_close(compute(outputs(), labels), expected / 3)
    torch.testing.assert_close(compute((logits,), labels, num_items_in_batch=6), expected / 6)
    # With two GPUs in one process the Trainer gives one count per GPU and averages afterwards.
    per_gpu = torch.tensor([[6], [6]])
    torch.testing.assert_close(compute(outputs(), labels, per_gpu), expected / 12)
    nothing = compute(outputs(), torch.full((4,), -100))
    assert nothing == 0


def test_class_weights_as_numbers_are_scaled_to_mean_one():
    compute = for_trainer(counts=[8, 2, 2], class_weights=[1, 4, 2.0])
    # mean weight over the rows: (8 + 8 + 4) / 12 = 5/3
    labels = torch.tensor([0, 1, 2, 1])
    rows = torch.nn.functional.cross_entropy(outputs()["logits"], labels, reduction="none")
    expected = (rows * torch.tensor([1, 4, 2, 4]) * 0.6).sum() / 4
    torch.testing.assert_close(compute(outputs(), labels), expected)


def test_half_precision_outputs():
    logits = {"logits": outputs()["logits"].bfloat16()}
    compute = for_trainer("logit_adjusted", counts=[8, 2, 2])
    assert compute(logits, torch.tensor([0, 1, 2, 0])).dtype == torch.float32


@pytest.mark.parametrize(
    ("asked", "error", "part"),
    [
        ({"loss": "focul"}, SettingsError, "unknown loss 'focul'; did you mean 'focal'"),
        ({"loss": "focal:gamma=1"}, SettingsError, "settings are arguments"),
        ({"loss": "focal", "gama": 1}, SettingsError, "did you mean gamma"),
        ({"loss": "cross_entropy", "gamma": 1}, SettingsError, "takes no settings"),
        ({"loss": "logit_adjusted"}, SettingsError, "give counts= or labels="),
        ({"loss": "logit_adjusted", "counts": [3, 0]}, DataError, r"classes \[1\]"),
        ({"counts": [3, 1], "labels": [0]}, SettingsError, "keep one"),
        ({"counts": [[3, 1]]}, ShapeError, "one number of rows per class"),
        ({"labels": [0, -1]}, ShapeError, "labels run from -1"),
        ({"labels": ["spam", "ham"]}, ShapeError, r"one whole number per row .*np\.unique"),
        ({"class_weights": "inverse"}, SettingsError, "need counts= or labels="),
        ({"class_weights": "balanced", "counts": [1, 2]}, SettingsError, "expected inverse"),
        ({"class_weights": [1, -1]}, ShapeError, "one weight, 0 or more"),
        ({"class_weights": [1, 1], "counts": [1, 2, 3]}, ShapeError, "2 class weights for 3"),
        ({"class_weights": [0.0, 1.0], "counts": [10, 0]}, SettingsError, "leave nothing to learn"),
        (
            {"loss": "logit_adjusted", "class_weights": "inverse", "counts": [1, 2]},
            SettingsError,
            "say that you mean it: twice=True",
        ),
    ],
)
def test_what_for_trainer_refuses(asked, error, part):
    with pytest.raises(error, match=part):
        for_trainer(**asked)


def test_twice_is_believed():
    options = {"counts": [3, 2, 1], "class_weights": "inverse"}
    with pytest.raises(SettingsError, match="twice"):
        for_trainer("logit_adjusted", **options)
    assert callable(for_trainer("logit_adjusted", **options, twice=True))


def test_a_function_that_averages_is_caught():
    compute = for_trainer(torch.nn.functional.cross_entropy)
    with pytest.raises(ShapeError, match="one value per row"):
        compute(outputs(), torch.tensor([0, 1, 2, 0]))
    with pytest.raises(ShapeError, match="one entry per class"):
        for_trainer(counts=[1, 2], class_weights="inverse")(outputs(), torch.tensor([0, 1, 1, 0]))


@pytest.mark.parametrize("module", [losses, samplers])
def test_what_is_listed_is_there(module):
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


# ── samplers ──────────────────────────────────────────────────────────────────────────────────


class Kill(TrainerCallback):
    def __init__(self, at):
        self.at = at

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step >= self.at


def trained(folder, sampler, *, kill=None, resume=False):
    """Two epochs of six steps; a checkpoint every two steps."""
    trainer = BalancedTrainer(
        model=tiny_bert(),
        args=arguments(folder, num_train_epochs=2, save_strategy="steps", save_steps=2, seed=3),
        train_dataset=Rows(),
        sampler=sampler,
        compute_loss_func=for_trainer(labels=LABELS),
        callbacks=[Kill(kill)] if kill else [],
    )
    trainer.train(resume_from_checkpoint=resume)
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])


@pytest.mark.parametrize("kill", [2, 6, 8])
def test_stopped_and_resumed_gives_the_same_weights(kill, tmp_path):
    """Stopped inside the first epoch, between the two, and inside the second, with dropout."""
    whole = trained(tmp_path / "whole", balanced_sampler(LABELS, epochs=2, seed=0))
    trained(tmp_path / "cut", balanced_sampler(LABELS, epochs=2, seed=0), kill=kill)
    again = trained(tmp_path / "cut", balanced_sampler(LABELS, epochs=2, seed=0), resume=True)
    assert torch.equal(again, whole)
    other = trained(tmp_path / "other", balanced_sampler(LABELS, epochs=2, seed=1))
    assert not torch.equal(other, whole)


GROUPS = np.arange(23) % 2
MADE = {
    "sqrt": lambda epochs=2: sqrt_sampler(LABELS, epochs=epochs, seed=0),
    "progressive": lambda epochs=2: progressive_sampler(LABELS, epochs=epochs, seed=0, over=2),
    "temperature": lambda epochs=2: temperature_sampler(LABELS, epochs=epochs, seed=0),
    "plentiful first": lambda epochs=2: plentiful_first_sampler(
        LABELS, epochs=epochs, seed=0, over=1
    ),
    "presence": lambda epochs=2: presence_sampler(
        LABELS, epochs=epochs, seed=0, batch_rows=4, classes=[2]
    ),
    "groups": lambda epochs=2: group_balanced_sampler(LABELS, GROUPS, epochs=epochs, seed=0),
}


@pytest.mark.parametrize("name", MADE)
def test_every_sampler_resumes_to_the_same_weights(name, tmp_path):
    whole = trained(tmp_path / "whole", MADE[name]())
    trained(tmp_path / "cut", MADE[name](), kill=8)
    assert torch.equal(trained(tmp_path / "cut", MADE[name](), resume=True), whole)
    np.testing.assert_array_equal(MADE[name](3).order[:2], MADE[name]().order)


@pytest.mark.parametrize("processes", [1, 3])
def test_a_promise_is_kept_in_the_steps_of_a_trainer(processes, tmp_path):
    """Two micro-batches of two rows in each process; rows as accelerate hands them out."""
    rows = 4 * processes
    sampler = presence_sampler(
        LABELS, epochs=2, seed=0, batch_rows=rows, classes=[1, 2], together=True, at_least=2
    )
    sampler.set_epoch(1)
    batches = BatchSampler(sampler, batch_size=2, drop_last=False)
    shards = [list(BatchSamplerShard(batches, processes, i)) for i in range(processes)]
    steps = [
        [row for shard in shards for batch in shard[at : at + 2] for row in batch]
        for at in range(0, len(shards[0]), 2)
    ]
    assert len(steps) == -(-len(sampler) // rows)
    assert all(np.sum(LABELS[step] > 0) >= 2 for step in steps)

    if processes == 1:
        seen = []

        def collate(features):
            seen.append([int(feature["labels"]) for feature in features])
            return {key: torch.stack([f[key] for f in features]) for key in features[0]}

        trainer = BalancedTrainer(
            model=tiny_bert(),
            args=arguments(tmp_path, per_device_train_batch_size=2, gradient_accumulation_steps=2),
            data_collator=collate,
            train_dataset=Rows(),
            sampler=sampler,
        )
        trainer.train()
        fed = [
            seen[at] + (seen[at + 1] if at + 1 < len(seen) else []) for at in range(0, len(seen), 2)
        ]
        assert len(fed) == trainer.state.global_step == 6
        assert all(sum(label > 0 for label in step) >= 2 for step in fed)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"per_device_train_batch_size": 4}, "steps of 8 rows; the Trainer takes 4"),
        ({"gradient_accumulation_steps": 4}, "takes 16 .* make the sampler with batch_rows=16"),
        ({"gradient_accumulation_steps": 2, "dataloader_drop_last": True}, "drops the last step"),
    ],
)
def test_a_promise_that_the_trainer_would_break_is_refused(more, says, tmp_path):
    trainer = BalancedTrainer(
        model=tiny_bert(),
        args=arguments(tmp_path, **more),
        train_dataset=Rows(),
        sampler=presence_sampler(LABELS, epochs=1, seed=0, batch_rows=8),
    )
    with pytest.raises(SettingsError, match=says):
        trainer.train()


@pytest.mark.parametrize(("split", "rows"), [(False, 16), (True, 8)])
def test_batches_that_processes_share_are_no_larger_step(split, rows, tmp_path, monkeypatch):
    trainer = BalancedTrainer(
        model=tiny_bert(),
        args=arguments(
            tmp_path, gradient_accumulation_steps=2, accelerator_config={"split_batches": split}
        ),
        train_dataset=Rows(),
    )
    monkeypatch.setattr(type(trainer.args), "world_size", 2)
    trainer.sampler = presence_sampler(LABELS, epochs=1, seed=0, batch_rows=rows)
    assert trainer._get_train_sampler() is trainer.sampler
    trainer.sampler = presence_sampler(LABELS, epochs=1, seed=0, batch_rows=24 - rows)
    with pytest.raises(SettingsError, match=f"the Trainer takes {rows}"):
        trainer._get_train_sampler()


@pytest.mark.parametrize("resumed_at", [0, 2])
def test_processes_share_out_each_epoch_resumed_or_not(resumed_at):
    """As accelerate cuts batches for 3 processes; the wrappers of a resume hide the sampler from
    `set_epoch`, hence the mixin's callback sets it on the sampler itself."""
    sampler = balanced_sampler(LABELS, epochs=3, seed=0)
    sampler.set_epoch(1)
    batches = BatchSampler(sampler, batch_size=2, drop_last=False)
    shards = [
        list(SkipBatchSampler(BatchSamplerShard(batches, 3, i, even_batches=False), resumed_at))
        for i in range(3)
    ]
    fed = [
        row for turn in itertools.zip_longest(*shards) for batch in turn if batch for row in batch
    ]
    assert fed == sampler.order[1, resumed_at * 3 * 2 :].tolist()


def test_the_epoch_is_set_from_the_state_of_the_trainer():
    sampler = natural_sampler(3, epochs=3, seed=0)
    setter = samplers._epoch_setter(sampler)
    for epoch, expected in ((0, 0), (None, 0), (1.0, 1), (1.75, 1), (2.0, 2)):
        setter.on_epoch_begin(None, SimpleNamespace(epoch=epoch), None)
        assert sampler.epoch == expected


def test_a_plain_data_loader_takes_it():
    sampler = sampler_for("balanced_sampler:epoch_rows=9", LABELS, epochs=2, seed=0)
    loader = DataLoader(Rows(), batch_size=3, sampler=sampler)
    assert len(loader) == 3
    for epoch in range(2):
        sampler.set_epoch(epoch)
        for batch in loader:
            assert sorted(batch["labels"].tolist()) == [0, 1, 2]


def test_without_a_sampler_the_trainer_is_as_it_was(tmp_path):
    trainer = BalancedTrainer(model=tiny_bert(), args=arguments(tmp_path), train_dataset=Rows())
    assert isinstance(trainer._get_train_sampler(), torch.utils.data.RandomSampler)


@pytest.mark.parametrize(
    ("sampler", "part"),
    [
        (natural_sampler(23, epochs=1, seed=0), "holds 1 epochs, 2 are to be trained"),
        (natural_sampler(24, epochs=2, seed=0), "row 23, the training set has 23 rows"),
    ],
)
def test_a_sampler_for_another_training_is_refused(sampler, part, tmp_path):
    trainer = BalancedTrainer(
        model=tiny_bert(),
        args=arguments(tmp_path, num_train_epochs=2),
        train_dataset=Rows(),
        sampler=sampler,
    )
    with pytest.raises(SettingsError, match=part):
        trainer.train()


def test_what_samplers_refuse():
    with pytest.raises(SettingsError, match="epoch 2 is asked for"):
        natural_sampler(3, epochs=2, seed=0).set_epoch(2)
    with pytest.raises(ShapeError, match="epochs, rows per epoch"):
        OrderSampler(np.arange(3))
    with pytest.raises(SettingsError, match="epochs is 0"):
        balanced_sampler(LABELS, epochs=0, seed=0)
    with pytest.raises(SettingsError, match="unknown remedy"):
        sampler_for("balanced", LABELS, epochs=1, seed=0)
    with pytest.raises(SettingsError, match="not a sampler"):
        sampler_for("class_weights", LABELS, epochs=1, seed=0)
    with pytest.raises(SettingsError, match="needs batch_rows"):
        sampler_for("guaranteed_presence", LABELS, epochs=1, seed=0)
    with pytest.raises(SettingsError, match="needs groups"):
        sampler_for("group_balanced_sampler", LABELS, epochs=1, seed=0)
    with pytest.raises(ShapeError, match=r"one whole number per row .*np\.unique"):
        balanced_sampler(["a", "b", "a"], epochs=1, seed=0)
    with pytest.raises(ShapeError, match=r"labels have shape \(0,\)"):
        sampler_for("sqrt_sampler", [], epochs=1, seed=0)
    with pytest.raises(ShapeError, match=r"groups have shape \(2,\); expected \(23,\)"):
        group_balanced_sampler(LABELS, ["a", "b"], epochs=1, seed=0)
    with pytest.raises(SettingsError, match="no training rows of class '7'"):
        presence_sampler(LABELS, epochs=1, seed=0, batch_rows=8, classes=[2, 7])


# ── the example ───────────────────────────────────────────────────────────────────────────────


def test_the_example_runs(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE)])
    threads = torch.get_num_threads()
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    torch.set_num_threads(threads)
    lines = capsys.readouterr().out.splitlines()
    right = {line[:18].strip(): [float(f) for f in line[18:].split()] for line in lines[1:]}
    assert list(right) == ["plain", "logit-adjusted", "balanced batches"]
    assert min(right["logit-adjusted"][1], right["balanced batches"][1]) > right["plain"][1]
