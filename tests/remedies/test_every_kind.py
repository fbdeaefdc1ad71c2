"""Every remedy passes the checks of its kind, and there is no kind without checks."""

from typing import get_args

import pytest

from equipoise.remedies.remedy import Kind
from equipoise.remedies.table import REMEDIES

from .checks.kinds import CHECKS, every_check


@pytest.mark.parametrize(
    ("name", "check", "case"),
    every_check(),
    ids=lambda part: part.__name__ if callable(part) else str(part),
)
def test_every_remedy(name, check, case):
    check(name, CHECKS[REMEDIES[name].kind][check](name)[case])


def test_every_kind_and_every_remedy_has_checks():
    assert set(CHECKS) == set(get_args(Kind))
    assert {name for name, _, _ in every_check()} == set(REMEDIES)
