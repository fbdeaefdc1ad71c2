"""Every remedy passes the checks of its kind."""

import pytest

from equipoise.remedies.table import REMEDIES

from .checks.kinds import CHECKS, every_check


@pytest.mark.parametrize(
    ("name", "check", "case"),
    every_check(),
    ids=lambda part: part.__name__ if callable(part) else str(part),
)
def test_every_remedy(name, check, case):
    check(name, CHECKS[REMEDIES[name].kind][check](name)[case])
