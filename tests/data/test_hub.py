"""A hub that is out of reach is answered soon."""

from __future__ import annotations

import time

import datasets.config
import huggingface_hub
import pytest
from huggingface_hub import constants

from equipoise.data import hub
from equipoise.data.read import read_rows
from equipoise.errors import DataError


class Session:
    """Stands in for the client's: fails so often, then answers."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.asked = 0

    def head(self, url: str, *, timeout: float) -> None:
        self.asked += 1
        assert url == constants.ENDPOINT
        assert timeout <= 5
        if self.asked <= self.failures:
            raise OSError("Name or service not known")


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (constants, datasets.config):
        monkeypatch.setattr(place, "HF_HUB_OFFLINE", False)


@pytest.mark.parametrize(
    ("failures", "there", "asked"), [(0, True, 1), (1, True, 2), (9, False, 2)]
)
@pytest.mark.usefixtures("network")
def test_one_more_try(
    monkeypatch: pytest.MonkeyPatch, failures: int, there: bool, asked: int
) -> None:
    session = Session(failures)
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: session)
    assert hub.reachable() is there
    assert session.asked == asked


def test_offline_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: pytest.fail("asked"))
    assert not hub.reachable()


@pytest.mark.usefixtures("network")
def test_rows_that_can_t_be_had_are_refused_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: Session(9))
    began = time.perf_counter()
    with pytest.raises(DataError, match="hf:owner/none: the hub is out of reach"):
        read_rows("hf:owner/none")
    assert time.perf_counter() - began < 5
    # Put back: the next rows may come from a network that is there again.
    assert not constants.HF_HUB_OFFLINE
    assert not datasets.config.HF_HUB_OFFLINE
