"""Command lines that can't be read."""

from __future__ import annotations

from tests.bad_input.case import Case, train

USAGE = [
    Case("unknown command", ("fitt", "{rows}"), ("No such command 'fitt'", "--help")),
    Case("unknown option before a command", ("--verison",), ("No such option: --verison",)),
    Case("unknown option", train("--learning-rate", "1"), ("No such option: --learning-rate",)),
    Case("misspelt option", train("--remedi", "focal"), ("No such option: --remedi", "--remedy")),
    Case("train without rows", ("train",), ("Missing argument 'ROWS'", "train --help")),
    Case("rows twice", train("{rows}"), ("unexpected extra argument",)),
    Case("evaluate without anything", ("evaluate",), ("Missing argument 'RUN'",)),
    Case("evaluate without rows", ("evaluate", "{run}"), ("Missing argument 'ROWS'",)),
    Case("predict without out", ("predict", "{run}", "{rows}"), ("Missing option '--out'",)),
    Case("report without run", ("report",), ("Missing argument 'RUN'",)),
    Case("report of two runs", ("report", "{run}", "{run}"), ("unexpected extra argument",)),
    Case("cache of a folder", ("cache", "{folder}"), ("unexpected extra argument",)),
    Case("option without value", train("--costs"), ("--costs", "requires an argument")),
    Case("value for a flag", train("--force=yes"), ("--force", "does not take a value")),
    Case(
        "option of another command",
        ("evaluate", "{run}", "{rows}", "--remedy", "focal"),
        ("No such option: --remedy",),
    ),
    Case("epochs in words", train("--epochs", "many"), ("--epochs", "whole number")),
    Case("epochs as a fraction", train("--epochs", "1.5"), ("--epochs", "whole number")),
    Case("no epochs", train("--epochs", "0"), ("train.epochs", "above 0", "is 0")),
    Case("negative epochs", train("--epochs", "-3"), ("train.epochs", "is -3")),
    Case("seed in words", train("--seed", "lucky"), ("--seed", "whole number")),
    Case("negative seed", train("--seed", "-1"), ("seed is -1", "from 0")),
    Case("seed too large", train("--seed", str(2**40)), ("seed is", "4294967295")),
    Case("demo with rows", ("demo", "{rows}"), ("unexpected extra argument",)),
    Case(
        "demo into a file",
        ("demo", "--out", "{folder}/out"),
        ("is a file", "--out"),
        files={"out": "mine"},
    ),
    Case("text and label in one column", train("--label", "text"), ("'text'", "--label")),
    Case("label as group", train("--group", "label"), ("'label'", "--group")),
    Case(
        "name too long for rows", ("train", "r" * 300 + ".csv", "--out", "{folder}/out"), ("rrr",)
    ),
    Case(
        "cache limit in words",
        train(),
        ("EQUIPOISE_CACHE_GB", "'all'"),
        env={"EQUIPOISE_CACHE_GB": "all"},
    ),
    Case(
        "negative cache limit",
        ("cache",),
        ("EQUIPOISE_CACHE_GB", "'-1'"),
        env={"EQUIPOISE_CACHE_GB": "-1"},
    ),
]
