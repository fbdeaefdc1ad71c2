"""Costs as people state them: what is read, what is refused, what is doubted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.costs import Cost, Costs, Deferral, costs_from, read_costs
from equipoise.errors import SettingsError

CLASSES = ("complaint", "fraud", "legitimate")
AMOUNTS = np.array([2.0, 40.0, 600.0])
FILE = """
unit: EUR
default: 1
missed: {complaint: 20}
costs:
  fraud:
    legitimate: {times: amount}
    defer: 2
  legitimate:
    fraud: {times: amount, factor: 0.01, plus: 5}
    legitimate: -0.1
defer: {cost: 0.5, capacity: 5%}
"""


def stated(**record):
    return costs_from(record)


def faults_of(record, classes=CLASSES, amounts=None):
    with pytest.raises(SettingsError) as caught:
        costs_from(record).table(classes, amounts)
    return caught.value.faults


@pytest.fixture
def from_file(tmp_path):
    path = tmp_path / "costs.yaml"
    path.write_text(FILE)
    return read_costs(path)


def test_the_file_gives_every_cell_its_cost(from_file):
    table = from_file.table(CLASSES, AMOUNTS)
    assert table.column == "amount"
    np.testing.assert_allclose(
        table.fixed,
        [[0, 20, 20, 0.5], [1, 0, 0, 2], [1, 5, -0.1, 0.5]],
    )
    np.testing.assert_allclose(table.factor, [[0, 0, 0, 0], [0, 0, 1, 0], [0, 0.01, 0, 0]])
    assert from_file.capacity == 0.05


def test_it_is_written_as_it_is_read(from_file):
    assert costs_from(from_file.to_json()) == from_file


def test_python_says_the_same(from_file):
    assert from_file == Costs(
        "EUR",
        Cost(1.0),
        (
            ("fraud", "legitimate", Cost(0.0, 1.0)),
            ("fraud", "defer", Cost(2.0)),
            ("legitimate", "fraud", Cost(5.0, 0.01)),
            ("legitimate", "legitimate", Cost(-0.1)),
        ),
        (("complaint", Cost(20.0)),),
        "amount",
        Deferral(Cost(0.5), 0.05),
    )


def test_plain_numbers_are_costs_too():
    costs = Costs("EUR", 2.0, (("a", "b", 5.0),))
    np.testing.assert_array_equal(costs.matrix(("a", "b")), [[0, 5], [2, 0]])
    assert costs.to_json() == {"unit": "EUR", "default": 2.0, "costs": {"a": {"b": 5.0}}}


def test_nothing_stated_is_mistakes():
    np.testing.assert_array_equal(stated().matrix(("a", "b", "c")), 1 - np.eye(3))


def test_the_matrix_of_losses_has_no_person_in_it_and_one_amount_per_class(from_file):
    matrix = from_file.matrix(CLASSES, np.array([10.0, 100.0, 1000.0]))
    np.testing.assert_allclose(matrix, [[0, 20, 20], [1, 0, 100], [1, 15, -0.1]])
    with pytest.raises(SettingsError, match=r"'amount'.*give amounts"):
        from_file.matrix(CLASSES)


def test_what_is_dear_at_a_classs_typical_amount_is_refused_only_if_it_is_at_every_rows():
    """Looking into a fraud costs 10, missing it its amount: often 2, once 400."""
    costs = costs_from(
        {"costs": {"fraud": {"fraud": 10, "legit": {"times": "amount"}}, "legit": {"fraud": 12}}}
    )
    classes, amounts = ("fraud", "legit"), np.array([2.0, 3.0, 2.0, 400.0])
    assert any("where amount is below 10" in doubt for doubt in costs.warnings(classes, amounts))
    matrix = costs.matrix(classes, np.array([np.median(amounts), 5.0]))
    np.testing.assert_allclose(matrix, [[10, 2.5], [12, 0]])
    with pytest.raises(SettingsError, match="at every amount of the rows"):
        costs.warnings(classes, amounts[:3])


def test_the_order_of_classes_is_that_asked_for(from_file):
    turn = [2, 0, 1]
    one = from_file.table(CLASSES)
    other = from_file.table(tuple(CLASSES[k] for k in turn))
    np.testing.assert_array_equal(other.fixed[:, :3], one.fixed[turn][:, turn])
    np.testing.assert_array_equal(other.fixed[:, 3], one.fixed[turn, 3])


NUMBERS = st.floats(0, 1e6, allow_nan=False)
TERMS = st.one_of(
    NUMBERS,
    st.builds(lambda f, p: {"times": "amount", "factor": f, "plus": p}, NUMBERS, NUMBERS),
)


@settings(deadline=None, max_examples=50)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")).filter(lambda p: p[0] != p[1]),
        TERMS,
    ),
    st.floats(0.01, 100),
    st.dictionaries(st.sampled_from("abcd"), TERMS),
)
def test_whatever_is_read_is_written_and_read_again(cells, default, missed):
    nested: dict = {}
    for (true, decided), cost in cells.items():
        nested.setdefault(true, {})[decided] = cost
    record = {"default": default, "costs": nested, "missed": missed}
    costs = costs_from(record)
    again = costs_from(costs.to_json())
    found = costs.table(tuple("abcd")).at(3.0)
    np.testing.assert_array_equal(again.table(tuple("abcd")).at(3.0), found)
    # A cell is what was said of it, else what was said of its class, else the default.
    for t, true in enumerate("abcd"):
        for d, decided in enumerate("abcd"):
            said = 0.0 if t == d else missed.get(true, default)
            said = cells.get((true, decided), said)
            if isinstance(said, dict):
                said = said["plus"] + 3.0 * said["factor"]
            assert found[t, d] == pytest.approx(said)


@pytest.mark.parametrize(
    ("capacity", "share"),
    [(0.2, 0.2), (1, 1.0), ("5%", 0.05), ("12.5 %", 0.125), ({"rows": 50, "of": 1000}, 0.05)],
)
def test_capacity_is_a_share_or_rows_out_of_rows(capacity, share):
    assert stated(defer={"cost": 1, "capacity": capacity}).capacity == pytest.approx(share)


def test_a_number_for_defer_is_its_cost():
    assert stated(defer=3).deferral == Deferral(Cost(3.0))


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"costs": {"froud": {"legitimate": 5}}}, ("'froud'", "did you mean fraud")),
        ({"costs": {"Fraud": {"legitimate": 5}}}, ("'Fraud'", "did you mean fraud")),
        ({"missed": {"complains": 5}}, ("'complains'", "did you mean complaint")),
        ({"missed": {"fraud": "dear"}}, ("missed 'fraud'", "'dear'", "times")),
        ({"missed": [1]}, ("missed is [1]",)),
        ({"costs": {"fraud": {"defer": 5}}}, ("defer", "add `defer: {cost: ...}`")),
        ({"costs": {"fraud": {"legitimate": {"times": ""}}}}, ("times is ''", "column")),
        ({"costs": {"fraud": {"legitimate": {"times": 3}}}}, ("times is 3", "column")),
        ({"costs": {"fraud": {"legitimate": {"factor": 3}}}}, ("{'factor': 3}", "times: COLUMN")),
        (
            {"costs": {"fraud": {"legitimate": {"times": "a", "factor": "x", "plus": 1e999}}}},
            ("factor is 'x'", "plus is inf"),
        ),
        ({"costs": {"fraud": {"legitimate": {"times": "a", "minus": 1}}}}, ("'minus'", "plus")),
        (
            {
                "costs": {
                    "fraud": {"legitimate": {"times": "a"}},
                    "complaint": {"fraud": {"times": "b"}},
                }
            },
            ("several columns", "'a'", "'b'", "'fraud' decided as 'legitimate'"),
        ),
        ({"default": {"times": "a", "factor": -1}}, ("default is", "0 or more")),
        ({"costs": {"fraud": {"legitimate": 10**400}}}, ("finite number",)),
        ({"defer": {"capacity": 0.1}}, ("defer states no cost",)),
        ({"defer": {"cost": "much"}}, ("defer costs 'much'",)),
        ({"defer": {"cost": 1, "people": 2}}, ("'people'", "capacity")),
        ({"defer": {"cost": 1, "capacity": 0}}, ("capacity is 0", "leave `defer` out")),
        ({"defer": {"cost": 1, "capacity": -0.1}}, ("capacity is -0.1", "above 0")),
        ({"defer": {"cost": 1, "capacity": 50}}, ("capacity is 50", "{rows: 50, of: 1000}")),
        ({"defer": {"cost": 1, "capacity": "few"}}, ("capacity is 'few'",)),
        ({"defer": {"cost": 1, "capacity": "few%"}}, ("capacity is 'few%'",)),
        ({"defer": {"cost": 1, "capacity": "500%"}}, ("capacity is '500%'", "at most 1")),
        ({"defer": {"cost": 1, "capacity": {"rows": 5}}}, ("{rows: N, of: M}",)),
        ({"defer": {"cost": 1, "capacity": {"rows": 5, "of": 4}}}, ("at most M",)),
        ({"defer": {"cost": 1, "capacity": {"rows": -5, "of": 4}}}, ("above 0",)),
        ({"default": 0}, ("every mistake costs as much", "at least one")),
        (
            {"costs": {"fraud": {"legitimate": -5}}},
            ("fraud decided as legitimate costs -5", "right decision (0)"),
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(record, words):
    said = "\n".join(faults_of(record))
    for word in words:
        assert word in said


def test_a_class_called_defer_is_not_the_person():
    assert "rename the class" in faults_of({"defer": 1}, ("defer", "fraud"))[0]
    named = costs_from({"costs": {"fraud": {"defer": 5}}}).table(("defer", "fraud"))
    assert named.fixed.tolist() == [[0, 1], [5, 0]]


def test_every_fault_is_told_at_once():
    record = {
        "dear": 1,
        "default": "x",
        "missed": {"fraud": None},
        "costs": {"fraud": {"legitimate": "y"}, "complaint": 5},
        "defer": {"cost": [], "capacity": 7},
    }
    said = faults_of(record)
    assert len(said) == 7
    for word in ("'dear'", "'x'", "None", "'y'", "'complaint'", "[]", "capacity is 7"):
        assert sum(word in line for line in said) == 1, word


def test_a_fault_of_one_kind_hides_none_of_another():
    record = {
        "default": -1,
        "costs": {
            "fruad": {"legitimate": 2},
            "legitimate": {"fraud": -3, "complaint": "dear", "frud": 1},
            "fraud": {"complaint": {"time": "amount"}},
        },
    }
    with pytest.raises(SettingsError) as caught:
        costs_from(record, classes=lambda: CLASSES)
    said = caught.value.faults
    for part in (
        "default is -1",
        "costs 'dear'",
        "{'time': 'amount'}; 'time': did you mean times?",
        "class 'fruad' is not in the rows; did you mean fraud?",
        "class 'frud' is not in the rows",
        "legitimate decided as fraud costs -3",
    ):
        assert sum(part in fault for fault in said) == 1, part
    # A cell that can't be read, or stands under the negative default, is told once.
    assert len(said) == 6


def test_costs_that_decide_nothing_are_told_where_all_of_them_are_known():
    (said,) = costs_from({"default": 0}).faults(CLASSES)
    assert "costs decide nothing" in said
    (said,) = costs_from({"default": 0, "missed": {"fruad": 3}}).faults(CLASSES)
    assert "'fruad'" in said


def test_a_mistake_cheaper_than_the_right_decision_at_every_amount_is_refused():
    record = {"costs": {"fraud": {"fraud": 5, "legitimate": {"times": "amount"}}}}
    always = faults_of(record | {"default": 9}, amounts=np.array([1.0, 4.9]))
    assert len(always) == 1
    assert "fraud decided as legitimate" in always[0]
    assert "1 to 4.9" in always[0]


def test_where_it_is_cheaper_for_some_rows_only_it_is_a_doubt():
    """Looking into a fraud costs 5: below that amount it is better let through, and said so."""
    costs = stated(default=9, costs={"fraud": {"fraud": 5, "legitimate": {"times": "amount"}}})
    said = costs.warnings(CLASSES, np.array([1.0, 4.0, 10.0, 20.0]))
    assert len(said) == 1
    for word in ("fraud decided as legitimate", "amount is below 5", "50% of the rows"):
        assert word in said[0]
    assert costs.warnings(CLASSES, np.array([10.0, 20.0])) == []


def test_a_class_that_another_decision_always_replaces_is_a_doubt():
    """Letting a fraud through costs nothing: `legitimate` is never dearer than `fraud`."""
    said = stated(costs={"fraud": {"legitimate": 0}}).warnings(CLASSES)
    assert ["nothing is ever decided as fraud" in line for line in said] == [True]
    assert stated(costs={"fraud": {"legitimate": 0.01}}).warnings(CLASSES) == []


def test_a_decision_that_only_doubt_makes_the_cheapest_is_none():
    """Neither of the sure answers is `fraud`, yet it hedges between the other two."""
    costs = stated(
        default=10,
        costs={
            "fraud": {"legitimate": 0, "complaint": 0},
            "legitimate": {"fraud": 1},
            "complaint": {"fraud": 1},
        },
    )
    assert costs.warnings(CLASSES) == []


def test_a_person_too_dear_to_be_asked_is_a_doubt():
    """Over three classes 0/1 costs leave at most 2/3 to lose."""
    assert stated(defer=0.66).warnings(CLASSES) == []
    said = stated(defer=0.67).warnings(CLASSES)
    assert len(said) == 1
    assert "no row can ever be left to a person" in said[0]


def test_a_person_cheaper_than_every_right_decision_is_a_doubt():
    costs = stated(default=5, costs={c: {c: 2} for c in CLASSES}, defer=1)
    assert len(costs.warnings(CLASSES)) == 3
    assert all("nothing is ever decided as" in line for line in costs.warnings(CLASSES))
