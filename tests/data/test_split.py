"""Laws of every split, hand-worked small ones, and scikit-learn as the rival."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from equipoise.data import Table, find_clusters, folds, split_table
from equipoise.errors import DataError, SettingsError, ShapeError
from equipoise.records.rows import Rows, Splits, text_column

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def text_of(number: int) -> str:
    """A text like no other: its letters are drawn from a generator seeded by the number."""
    draw = np.random.default_rng(number)
    return " ".join("".join(draw.choice(list(LETTERS), size=6)) for _ in range(5))


def rows_of(
    labels: Sequence[str],
    *,
    texts: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    begin: int = 0,
    **columns: Sequence[Any],
) -> Rows:
    count = len(labels)
    numbers = range(begin, begin + count)
    return Rows(
        ids=text_column([str(n) for n in numbers]),
        texts=text_column(list(texts) if texts is not None else [text_of(n) for n in numbers]),
        labels=text_column(list(labels)),
        groups=None if groups is None else text_column(list(groups)),
        columns={name: text_column(list(cells)) for name, cells in columns.items()},
    )


def table_of(**parts: Rows) -> Table:
    return Table(source="rows", parts=parts, columns={}, fingerprint="")


def parts_of(splits: Splits) -> dict[str, Rows]:
    named = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {name: rows for name, rows in named.items() if rows is not None}


def assert_nothing_crosses(splits: Splits) -> None:
    seen: set[int] = set()
    for rows in parts_of(splits).values():
        assert rows.clusters is not None
        here = set(rows.clusters.tolist())
        assert not here & seen
        seen |= here


TABLES = st.builds(
    lambda cells, repeats: (
        [label for label, _ in cells],
        [group for _, group in cells],
        repeats,
    ),
    st.lists(
        st.tuples(
            st.sampled_from(["a"] * 12 + ["b"] * 5 + ["c", "d"]),
            st.sampled_from([""] * 12 + [*"ghijk"]),
        ),
        min_size=30,
        max_size=90,
    ),
    st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=10),
)


@settings(max_examples=40, deadline=None)
@given(TABLES, st.integers(0, 5))
def test_laws_of_one_file(table: tuple[Any, Any, Any], seed: int) -> None:
    labels, groups, repeats = table
    texts = [text_of(n) for n in range(len(labels))]
    for a, b in repeats:
        texts[a] = texts[b].upper() + "!"
    rows = rows_of(labels, texts=texts, groups=groups)
    try:
        splits = split_table(table_of(all=rows), seed=seed)
    except DataError as error:  # all of a class's rows in one group, or the like
        assert "no rows are left" in str(error) or "one class only" in str(error)  # noqa: PT017
        return
    parts = parts_of(splits)
    ids = [id_ for part in parts.values() for id_ in part.ids.tolist()]
    assert sorted(ids) == sorted(rows.ids.tolist()), "every row once"
    for part in parts.values():
        place = [int(id_) for id_ in part.ids]
        assert place == sorted(place), "in the order of the file"
        assert [texts[n] for n in place] == part.texts.tolist()
    assert_nothing_crosses(splits)
    for group in set(groups) - {""}:
        holding = [n for n, p in parts.items() if p.groups is not None and group in p.groups]
        assert len(holding) == 1
    assert set(splits.train.counts()) == set(labels), "every class is trained"
    again = split_table(table_of(all=rows), seed=seed)
    for name, part in parts_of(again).items():
        assert part.ids.tolist() == parts[name].ids.tolist(), "same seed, same split"


@pytest.mark.parametrize("seed", range(3))
def test_shares_hold_for_every_class(seed: int) -> None:
    labels = ["a"] * 400 + ["b"] * 100 + ["c"] * 20
    splits = split_table(table_of(all=rows_of(labels)), seed=seed)
    assert splits.train.counts() == {"a": 280, "b": 70, "c": 14}
    assert splits.validation.counts() == {"a": 60, "b": 15, "c": 3}
    assert splits.test is not None
    assert splits.test.counts() == {"a": 60, "b": 15, "c": 3}
    assert any("520 rows divided into 364 train, 78 validation, 78 test" in n for n in splits.notes)


def test_seeds_differ() -> None:
    rows = rows_of(["a", "b"] * 50)
    first, second = (split_table(table_of(all=rows), seed=seed) for seed in (0, 1))
    assert first.train.ids.tolist() != second.train.ids.tolist()


def test_tiny_classes() -> None:
    """One row trains; two train and judge; from three on every part has one."""
    labels = ["a"] * 100 + ["one"] + ["two"] * 2 + ["three"] * 3 + ["four"] * 4
    splits = split_table(table_of(all=rows_of(labels)))
    counts = {name: part.counts() for name, part in parts_of(splits).items()}
    of = lambda label: [counts[name].get(label, 0) for name in counts]  # noqa: E731
    assert of("one") == [1, 0, 0]
    assert of("two") == [1, 0, 1]
    assert of("three") == [1, 1, 1]
    assert of("four") == [2, 1, 1]
    assert any(
        "classes 'one', 'two': trained, but without a row in validation" in note
        for note in splits.notes
    ), splits.notes
    assert any("class 'one': trained, but without a row in test" in n for n in splits.notes)


def test_a_class_in_one_group_is_trained_whole() -> None:
    rows = rows_of(["a"] * 40 + ["rare"] * 9, groups=[""] * 40 + ["ann"] * 9)
    splits = split_table(table_of(all=rows))
    assert splits.train.counts()["rare"] == 9


def test_given_parts_stay_and_validation_is_held_out() -> None:
    train, test = rows_of(["a", "b"] * 50), rows_of(["a", "b"] * 10, begin=1000)
    splits = split_table(table_of(train=train, test=test))
    assert splits.test is not None
    assert splits.test.ids.tolist() == test.ids.tolist()
    assert splits.train.counts() == {"a": 42, "b": 42} or splits.train.counts() == {
        "a": 43,
        "b": 42,
    }
    assert len(splits.train) + len(splits.validation) == 100
    assert len(splits.validation) == 15


def test_train_and_validation_make_no_test() -> None:
    train, validation = rows_of(["a", "b"] * 20), rows_of(["a", "b"], begin=1000)
    splits = split_table(table_of(train=train, validation=validation))
    assert splits.test is None
    assert splits.validation.ids.tolist() == validation.ids.tolist()
    assert any("no test part" in said for said in splits.warnings)


def test_a_train_file_alone_is_divided_like_one_file() -> None:
    rows = rows_of(["a", "b"] * 50)
    alone, one = split_table(table_of(train=rows)), split_table(table_of(all=rows))
    assert alone.test is not None
    assert one.test is not None
    assert alone.test.ids.tolist() == one.test.ids.tolist()
    assert split_table(table_of(all=rows), test_share=0).test is None


def crossing_table() -> Table:
    """Row 0 repeats a test row, row 1 looks like one, row 2 shares a group with validation;
    validation's last row repeats a test row."""
    texts = [text_of(n) for n in range(40)]
    texts[0] = text_of(200).upper()
    texts[1] = f"{text_of(201)}s"
    train = rows_of(["a", "b"] * 20, texts=texts, groups=["", "", "g"] + [""] * 37)
    validation = rows_of(
        ["a", "b"] * 3,
        texts=[*(text_of(n) for n in range(100, 105)), f"{text_of(202)}."],
        groups=["g", *[""] * 5],
        begin=100,
    )
    test = rows_of(["a", "b"] * 3, groups=[""] * 6, begin=200)
    return table_of(train=train, validation=validation, test=test)


def test_rows_that_cross_given_parts_give_way() -> None:
    splits = split_table(crossing_table())
    assert splits.train.ids.tolist() == [str(n) for n in range(3, 40)]
    assert splits.validation.ids.tolist() == [str(n) for n in range(100, 105)]
    assert splits.test is not None
    assert len(splits.test) == 6
    assert_nothing_crosses(splits)
    assert any(said.startswith("left out 3 of 40 train rows") for said in splits.notes)
    (many,) = splits.warnings  # more than a tenth: a warning, which says what to do
    assert many == (
        "left out 1 of 6 validation rows that repeat, resemble or share a group with rows of test; "
        "name only group columns that should stay on one side, mend the files, or keep such rows "
        "(equipoise train --set split.keep_crossing=true)"
    )


def test_rows_that_cross_may_be_kept() -> None:
    splits = split_table(crossing_table(), keep_crossing=True)
    assert len(splits.train) == 40
    assert len(splits.validation) == 6
    assert any("3 of 40 train rows" in n and "flatter" in n for n in splits.warnings)


def test_emptied_classes_are_named() -> None:
    train = rows_of(["a", "b"] * 10 + ["c"], texts=[*(text_of(n) for n in range(20)), "the one"])
    test = rows_of(["a", "c"], texts=["another thing", "The one!"], begin=100)
    splits = split_table(table_of(train=train, test=test))
    assert any("that leaves no train row of class 'c'" in said for said in splits.warnings)
    assert any("class 'c': in test, but without a training row" in n for n in splits.warnings)


def dated(count: int, **more: Any) -> Rows:
    """Rows in shuffled order; row n is of day n."""
    order = np.random.default_rng(0).permutation(count)
    days = [f"{2024 + n // 360}-{n % 360 // 30 + 1:02d}-{n % 30 % 28 + 1:02d}" for n in order]
    return rows_of(["ab"[n % 2] for n in order], day=days, place=order.tolist(), **more)


def test_forward_in_time() -> None:
    rows = dated(200)
    splits = split_table(table_of(all=rows), time_column="place")
    assert splits.test is not None
    places = [part.columns["place"].tolist() for part in parts_of(splits).values()]
    assert [sorted(p) for p in places] == [
        list(range(140)),
        list(range(140, 170)),
        list(range(170, 200)),
    ]
    assert any("test from 170" in note for note in splits.notes)
    by_day = split_table(table_of(all=rows), time_column="day")
    assert by_day.test is not None
    assert max(by_day.train.columns["day"]) < min(by_day.validation.columns["day"])
    assert max(by_day.validation.columns["day"]) < min(by_day.test.columns["day"])


def test_forward_in_time_leaves_out_earlier_copies_of_judged_rows() -> None:
    texts = [text_of(n) for n in range(100)]
    texts[5] = texts[95]
    texts[75] = texts[96]
    rows = rows_of(["a", "b"] * 50, texts=texts, when=list(range(100)))
    splits = split_table(table_of(all=rows), time_column="when")
    assert splits.test is not None
    assert len(splits.test) == 15
    assert "5" not in splits.train.ids.tolist()
    assert "75" not in splits.validation.ids.tolist()
    assert_nothing_crosses(splits)
    kept = splits.train.columns["when"].tolist()
    assert max(kept) < min(splits.validation.columns["when"].tolist())


def test_no_row_trains_that_is_as_late_as_given_test_rows() -> None:
    """Days 0 to 99 train, from day 80 on too late: the test begins on day 80."""
    train = rows_of(["a", "b"] * 50, when=list(range(100)))
    test = rows_of(["a", "b"] * 10, begin=1000, when=list(range(80, 100)))
    splits = split_table(table_of(train=train, test=test), time_column="when")
    assert splits.test is not None
    assert splits.test.ids.tolist() == test.ids.tolist()
    assert max(splits.train.columns["when"]) < min(splits.validation.columns["when"])
    assert max(splits.validation.columns["when"]) == 79
    assert (
        "left out 20 of 100 train rows that are as late as the first row of test ('when' 80), "
        "or later; give judged rows that are later than those that train, leave --time out if the "
        "files were not divided by time, or keep such rows "
        "(equipoise train --set split.keep_crossing=true)"
    ) in splits.warnings
    kept = split_table(table_of(train=train, test=test), time_column="when", keep_crossing=True)
    assert len(kept.train) + len(kept.validation) == 100
    assert any("20 of 100 train rows" in n and "kept as asked" in n for n in kept.warnings)
    without = split_table(table_of(train=train, test=test))
    assert len(without.train) + len(without.validation) == 100


def test_the_first_judged_row_may_be_one_that_chooses() -> None:
    train = rows_of(["a", "b"] * 20 + ["c"], when=[*range(40), 77])
    validation = rows_of(["a", "b"] * 3, begin=100, when=[36, 37, 38, 39, 40, 41])
    test = rows_of(["a", "b"] * 3, begin=200, when=[41, 42, 43, 44, 45, 46])
    splits = split_table(
        table_of(train=train, validation=validation, test=test), time_column="when"
    )
    assert sorted(splits.train.columns["when"]) == list(range(36))
    assert len(splits.validation) == 6
    said = "\n".join([*splits.notes, *splits.warnings])
    assert "left out 5 of 41 train rows that are as late as the first row of validation" in said
    assert "that leaves no train row of class 'c'" in said
    assert "1 of 6 validation rows are as late as the first test row" in said
    two = split_table(table_of(train=train, validation=validation), time_column="when")
    assert len(two.train) == 36


def test_given_test_rows_that_are_older_than_training_are_refused() -> None:
    train = rows_of(["a", "b"] * 20, when=[f"2024-01-{n % 28 + 1:02d}" for n in range(40)])
    test = rows_of(["a", "b"] * 5, begin=100, when=["2020-01-01"] * 10)
    table = table_of(train=train, test=test)
    with pytest.raises(DataError, match="40 of 40 train rows are as late as the first row of test"):
        split_table(table, time_column="when")
    with pytest.raises(DataError, match="leave --time out"):
        split_table(table, time_column="when")
    assert len(split_table(table, time_column="when", keep_crossing=True).train) > 30


def test_times_of_given_parts_are_on_one_scale() -> None:
    train = rows_of(["a", "b"] * 20, when=list(range(40)))
    test = rows_of(["a", "b"] * 5, begin=100, when=["2020-01-01"] * 10)
    with pytest.raises(DataError, match="numbers in train, dates in test"):
        split_table(table_of(train=train, test=test), time_column="when")
    with pytest.raises(DataError, match=r"rows \(test\): has no column 'when'"):
        split_table(table_of(train=train, test=rows_of(["a", "b"], begin=9)), time_column="when")


def test_rows_of_one_moment_stay_on_one_side() -> None:
    rows = rows_of(["a", "b"] * 50, when=[n // 20 for n in range(100)])
    splits = split_table(table_of(all=rows), time_column="when")
    moments = [set(part.columns["when"].tolist()) for part in parts_of(splits).values()]
    assert moments == [{0, 1, 2}, {3}, {4}]


def test_groups_that_run_through_time_are_explained() -> None:
    rows = rows_of(["a", "b"] * 50, groups=[f"g{n % 4}" for n in range(100)], when=list(range(100)))
    with pytest.raises(DataError, match="name only group columns"):
        split_table(table_of(all=rows), time_column="when")


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 25)), min_size=10, max_size=120),
    st.integers(2, 5),
)
def test_laws_of_folds(cells: list[tuple[int, int]], k: int) -> None:
    labels, clusters = np.array([c for c, _ in cells]), np.array([g for _, g in cells])
    if len(set(clusters.tolist())) < k:
        return
    fold = folds(labels, clusters, k, seed=0)
    assert set(fold.tolist()) <= set(range(k))
    for cluster in set(clusters.tolist()):
        assert len(set(fold[clusters == cluster].tolist())) == 1
    np.testing.assert_array_equal(fold, folds(labels, clusters, k, seed=0))
    renamed = folds(np.array([f"class {c}" for c in labels]), clusters + 100, k, seed=0)
    np.testing.assert_array_equal(fold, renamed)


@pytest.mark.parametrize("k", [2, 3, 5, 10])
def test_folds_of_single_rows_are_even_to_the_row(k: int) -> None:
    rng = np.random.default_rng(k)
    labels = np.repeat(np.arange(6), [503, 117, 41, 12, 4, 1])[rng.permutation(678)]
    fold = folds(labels, np.arange(678), k, seed=0)
    sizes = np.bincount(fold, minlength=k)
    assert sizes.max() - sizes.min() <= 1
    for label in range(6):
        own = np.bincount(fold[labels == label], minlength=k)
        assert own.max() - own.min() <= 1


def unevenness(labels: NDArray[Any], fold: NDArray[Any], k: int) -> float:
    """Mean over classes of the mean distance from an even share, in shares of the class."""
    table = np.zeros((labels.max() + 1, k))
    np.add.at(table, (labels, fold), 1)
    share = table / table.sum(axis=1, keepdims=True)
    return float(np.abs(share - 1 / k).mean())


def rival_folds(
    labels: NDArray[Any], clusters: NDArray[Any], k: int, seed: int
) -> NDArray[np.int64]:
    from sklearn.model_selection import StratifiedGroupKFold

    fold = np.empty(len(labels), dtype=np.int64)
    folder = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
    for number, (_, held) in enumerate(folder.split(labels, labels, clusters)):
        fold[held] = number
    return fold


@pytest.mark.filterwarnings("ignore:The least populated class")
@pytest.mark.parametrize(
    ("sizes", "mixed", "gain"),
    [([1, 1, 1, 2, 3, 12], 0.0, 1.0), ([1, 1, 1, 2, 3, 12], 0.3, 1.0), ([4, 5, 8, 12], 0.6, 0.9)],
)
def test_folds_are_more_even_than_scikit_learns(
    sizes: list[int], mixed: float, gain: float
) -> None:
    """25 tables of 600 rows and 8 lopsided classes. Where every group is of one class both are as
    even as can be; the more groups hold several classes, the more even we are. Our folds also
    differ less in size, always."""
    ours, theirs = [], []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        clusters = np.repeat(np.arange(600), rng.choice(sizes, size=600))[:600]
        share = 1 / np.arange(1, 9) ** 1.5
        labels = rng.choice(8, size=600, p=share / share.sum())[clusters]
        change = rng.random(600) < mixed
        labels = np.where(change, rng.choice(8, size=600, p=share / share.sum()), labels)
        _, labels = np.unique(labels, return_inverse=True)
        for found, fold in (
            (ours, folds(labels, clusters, 5, seed)),
            (theirs, rival_folds(labels, clusters, 5, seed)),
        ):
            found.append((unevenness(labels, fold, 5), np.ptp(np.bincount(fold, minlength=5))))
    our_classes, our_sizes = np.mean(ours, axis=0)
    their_classes, their_sizes = np.mean(theirs, axis=0)
    assert our_classes <= gain * their_classes + 1e-12, (our_classes, their_classes)
    assert our_sizes < 0.8 * their_sizes, (our_sizes, their_sizes)


def test_bad_settings() -> None:
    table = table_of(all=rows_of(["a", "b"] * 10))
    with pytest.raises(SettingsError) as caught:
        split_table(table, validation_share=0, test_share=1)
    assert len(caught.value.faults) == 2
    with pytest.raises(SettingsError, match="nothing to train on"):
        split_table(table, validation_share=0.5, test_share=0.5)
    for share in (math.nan, -0.1, 2):
        with pytest.raises(SettingsError):
            split_table(table, validation_share=share)
    with pytest.raises(SettingsError, match="2 to 5 folds"):
        folds([0, 1] * 5, np.arange(10) // 2, 6, seed=0)
    with pytest.raises(SettingsError):
        folds([0, 1], np.arange(2), 1, seed=0)
    with pytest.raises(ShapeError):
        folds([0, 1], np.arange(3), 2, seed=0)
    with pytest.raises(DataError, match="has no column 'when'"):
        split_table(table, time_column="when")


def test_clusters_that_are_handed_on_divide_as_those_that_are_found() -> None:
    texts = [f"{text_of(n // 2)} {'x' * (n % 2)}" for n in range(80)]
    train, test = rows_of("ab" * 30, texts=texts[:60]), rows_of("ab" * 10, texts=texts[60:])
    table = table_of(train=train, test=test)
    found = find_clusters(texts, None, [*"ab" * 40], seed=2)
    one, two = split_table(table, seed=2), split_table(table, seed=2, clusters=found)
    for name, rows in parts_of(one).items():
        assert rows.ids.tolist() == parts_of(two)[name].ids.tolist()
    assert one.notes == two.notes
