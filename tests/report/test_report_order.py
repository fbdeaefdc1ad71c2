"""The page on the order of the data: one way of writing figures, fit to their size."""

from __future__ import annotations

import re

import pytest
from html_check import read_page

from equipoise.records.order import OrderRecord, OrderSlopes, Slope, Tenth, write_order
from equipoise.report import write_report
from equipoise.report.order_page import order_text

SMALL = Slope(value=7.92e-05, low=-0.000786, high=0.000944)
SURE = Slope(value=-0.2, low=-0.31, high=-0.11)
NONE = Slope(value=None, low=None, high=None, why="too few steps")


def slopes(name: str, held: Slope) -> OrderSlopes:
    return OrderSlopes(
        name=name, rows=40, clusters=40, steps=5, loss=0.000136, base_loss=0.266, plain=held,
        held=held, says="as the record says",
    )  # fmt: skip


def made(held: Slope, classes: int = 3) -> OrderRecord:
    return OrderRecord(
        created="2026-03-04T05:06:07+00:00",
        run="runs/bank",
        run_id="3f9a",
        source="bank.csv",
        writes=False,
        unit="nats per row",
        base="a head of class means on the base's vectors",
        epochs=5,
        steps=5,
        overall=slopes("all", held),
        classes=[slopes(f"class {k}", held) for k in range(classes)],
        tenths=[
            Tenth(since=k / 3, until=(k + 1) / 3, rows=13, loss=10.0 ** (k - 6), low=None,
                  high=None, excess=(k - 1) * 0.0004)
            for k in range(3)
        ],
        left_out={"not fed in the first epoch": 1},
        notes=[],
        seconds={"reading": 0.01},
        versions={"equipoise": "0.1.0"},
    )  # fmt: skip


@pytest.mark.parametrize("held", [SMALL, SURE, NONE])
def test_the_page_is_well_formed_and_has_no_powers_of_ten(tmp_path, held):
    write_order(tmp_path, made(held))
    page = read_page(write_report(tmp_path))
    assert page.faults == []
    assert not re.search(r"\de[+-]\d", page.text)
    assert not re.search(r"\de[+-]\d", order_text(made(held), tmp_path / "order.html"))
    assert "1 training row left out" in page.text


def test_the_headline_writes_its_figures_alike(tmp_path):
    write_order(tmp_path, made(SMALL))
    text = read_page(write_report(tmp_path)).text
    says = "+0.00008 nats per row (−0.00079 to +0.00094) over the epoch holds 0."
    assert f"No trace of the order is shown: {says}" in text
    assert says in order_text(made(SMALL), tmp_path / "order.html")
    write_order(tmp_path, made(SURE))
    text = read_page(write_report(tmp_path)).text
    assert "Rows fed later end lower: −0.200 nats per row (−0.310 to −0.110)" in text
    write_order(tmp_path, made(NONE))
    assert "Nothing can be said: too few steps." in read_page(write_report(tmp_path)).text


def test_small_differences_are_not_all_0(tmp_path):
    write_order(tmp_path, made(SMALL))
    text = read_page(write_report(tmp_path)).text
    assert " 13 0.000001 −0.00040 — " in text
    assert "7 % to 100 % 13 0.000100 +0.00040 — " in text
