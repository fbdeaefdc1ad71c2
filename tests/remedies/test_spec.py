from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.errors import SettingsError
from equipoise.remedies.conflicts import conflicts, pair
from equipoise.remedies.remedy import Remedy, RemedySpec, bind
from equipoise.remedies.spec import parse_remedies, parse_remedy, remedy_spec, remedy_text
from equipoise.remedies.table import REMEDIES


def faults(call, *args):
    with pytest.raises(SettingsError) as caught:
        call(*args)
    assert all("\n" not in fault for fault in caught.value.faults)
    return caught.value.faults


def test_reading_a_remedy():
    assert parse_remedy("focal") == RemedySpec("focal", {"gamma": 2.0})
    assert parse_remedy(" focal : gamma = 1 ").settings == {"gamma": 1.0}
    spec = parse_remedy("class_weights:kind=effective,beta=0.99,twice=true")
    assert spec == RemedySpec("class_weights", {"kind": "effective", "beta": 0.99}, True)
    limited = parse_remedy("random_oversample:ratio=0.5,most_repeats=none").settings
    assert limited == {"ratio": 0.5, "most_repeats": None}


def test_every_fault_at_once():
    assert faults(parse_remedy, "class_weights:kind=inv,beta=1,betta=0.9,oops,beta=2") == (
        "remedy 'class_weights:kind=inv,beta=1,betta=0.9,oops,beta=2': 'oops' is not of the form "
        "key=value",
        "remedy 'class_weights:kind=inv,beta=1,betta=0.9,oops,beta=2': beta is given twice; "
        "keep one",
        "remedy class_weights: kind is 'inv': input should be 'inverse', 'sqrt' or 'effective'",
        "remedy class_weights: beta is '1': input should be less than 1",
        "remedy class_weights: unknown setting 'betta'; did you mean beta? "
        "it takes: beta, kind, twice",
    )
    found = faults(parse_remedies, ["focal:gama=1", "focsl", "class_weights", "balanced_sampler"])
    assert len(found) == 3
    assert "did you mean gamma?" in found[0]
    assert "did you mean focal?" in found[1]
    assert "twice=true" in found[2]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "unknown remedy ''"),
        ("focal:", "'' is not of the form key=value"),
        ("focal:gamma", "'gamma' is not of the form"),
        ("focal:gamma=", "'gamma=' is not of the form"),
        ("focal:gamma=-1", "greater than or equal to 0"),
        ("focal:gamma=nan", "finite number"),
        ("focal:gamma=inf", "finite number"),
        ("focal:gamma=none", "valid number"),
        ("random_oversample:ratio=0", "greater than 0"),
        ("random_oversample:ratio=1.1", "less than or equal to 1"),
        ("random_undersample:at_least=0", "greater than or equal to 1"),
        ("random_undersample:at_least=2.5", "valid integer"),
        ("random_undersample:labels=3", "unknown setting 'labels'"),
        ("class_weights:twice=perhaps", "valid boolean"),
        ("focal:twice=true", "unknown setting 'twice'"),
        ("costs:matrix=a", "it takes: no settings"),
    ],
)
def test_what_is_refused(text, part):
    assert part in "\n".join(faults(parse_remedy, text))


def test_settings_from_python_are_not_bent():
    assert remedy_spec("focal", {"gamma": 1}).settings == {"gamma": 1}
    assert "valid number" in faults(remedy_spec, "focal", {"gamma": True})[0]
    assert "valid integer" in faults(remedy_spec, "random_undersample", {"at_least": 2.0})[0]
    assert faults(parse_remedies, [{"gamma": 2}, 3])[1].startswith("remedy 3: expected NAME")
    (spec,) = parse_remedies([{"name": "focal", "gamma": 3.0}])
    assert parse_remedies([spec]) == (spec,)


@given(
    st.one_of(
        st.builds(lambda g: ("focal", {"gamma": g}), st.floats(0, 1e6)),
        st.builds(
            lambda r, m: ("random_oversample", {"ratio": r, "most_repeats": m}),
            st.floats(0.001, 1),
            st.none() | st.integers(1, 9),
        ),
        st.builds(
            lambda b, t: ("class_weights", {"beta": b, "kind": "sqrt", "twice": t}),
            st.floats(0, 0.9999999),
            st.booleans(),
        ),
    )
)
def test_text_and_back(asked):
    spec = remedy_spec(*asked)
    assert parse_remedy(remedy_text(spec)) == spec


def test_every_choice_can_be_said_in_text():
    said = [
        (name, setting.name, choice)
        for name, remedy in REMEDIES.items()
        for setting in remedy.settings
        for choice in (*get_args(setting.type), *([True, False] if setting.type is bool else []))
        if choice is type(None) or isinstance(choice, str | int)
    ]
    assert ("near_miss", "version", 2) in said
    assert ("smote", "most_made", type(None)) in said
    for name, key, choice in said:
        value = None if choice is type(None) else choice
        text = f"{name}:{key}={str(value).lower()}"
        assert parse_remedy(text).settings[key] == value, text
        spec = remedy_spec(name, {key: value})
        assert parse_remedy(remedy_text(spec)) == spec, text


def test_numbers_of_numpy_are_numbers():
    spec = remedy_spec("balanced_sampler", {"epoch_rows": np.int64(5)})
    assert type(spec.settings["epoch_rows"]) is int
    assert remedy_text(spec) == "balanced_sampler:epoch_rows=5"
    assert remedy_spec("focal", {"gamma": np.float32(0.5)}).settings == {"gamma": 0.5}
    assert remedy_spec("class_weights", {"twice": np.bool_(True)}).twice
    assert (
        "valid integer" in faults(remedy_spec, "balanced_sampler", {"epoch_rows": np.float64(5)})[0]
    )


def test_defaults_pass_their_own_ranges_and_make_the_shortest_text():
    for name in REMEDIES:
        assert remedy_text(parse_remedy(name)) == name


def verdict(a, b):
    found = pair(REMEDIES[a], REMEDIES[b])
    assert found.verdict == pair(REMEDIES[b], REMEDIES[a]).verdict
    return found.verdict


def test_each_pair_by_thought():
    """Of remedies for rows of one label. `never` and `twice` are listed; all else is fine."""
    samplers = [
        "balanced_sampler",
        "sqrt_sampler",
        "temperature_sampler",
        "progressive_sampler",
        "plentiful_first",
        "guaranteed_presence",
    ]
    samplers += ["group_balanced_sampler"]
    weighing = ["weighted_cross_entropy", "logit_adjusted"]
    losses = [*weighing, "focal", "cost_sensitive"]
    double = ["class_weights", "group_weights", *samplers, *weighing]
    deciders = ["posthoc_logit_adjustment", "measure_offsets"]
    others = ["random_oversample", "random_undersample", "tomek_links", "cost_weights"]
    others += ["cluster_weights", "temperature", "costs"]
    known = list(dict.fromkeys([*double, *losses, *deciders, *others]))
    assert set(known) <= set(REMEDIES)
    for a in known:
        for b in known:
            if a == b:
                continue
            both = {a, b}
            never = (
                both <= set(losses)
                or both <= set(samplers)
                or ("costs" in both and both & set(deciders))
                or ("cost_sensitive" in both and both & {"costs", "cost_weights"})
            )
            expected = "never" if never else "twice" if both <= set(double) else "fine"
            assert verdict(a, b) == expected, (a, b)


def test_twice_is_believed_but_two_losses_never_are():
    specs = [parse_remedy("class_weights"), parse_remedy("balanced_sampler:twice=true")]
    assert conflicts(specs) == []
    specs = [parse_remedy("weighted_cross_entropy:twice=true"), parse_remedy("logit_adjusted")]
    assert conflicts(specs) == [
        "remedies weighted_cross_entropy and logit_adjusted exclude each other: "
        "a model is trained with one loss"
    ]
    assert conflicts([parse_remedy("focal")] * 2) == ["remedy focal is named twice; keep one"]


def test_unmet_needs_are_named():
    def smote(labels, classes, rng, *, vectors, groups, neighbours: int = 5): ...

    smote.__annotations__ |= dict.fromkeys(["vectors", "groups"], object)
    remedy = Remedy("smote", "rows", "choose", smote, "paper", needs=("vectors", "groups"))
    assert [s.name for s in remedy.settings] == ["neighbours"]
    assert len(faults(bind, remedy, {}, {"groups": None})) == 2
    bound = bind(remedy, {"neighbours": 3}, {"vectors": 1, "groups": 2, "other": 3})
    assert bound == {"vectors": 1, "groups": 2, "neighbours": 3}
