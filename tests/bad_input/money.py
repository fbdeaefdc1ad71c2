"""Cost files and files of class shares that can't be used."""

from __future__ import annotations

from tests.bad_input.case import Case, train


def _costs(name: str, content: str | bytes, *words: str) -> Case:
    return Case(
        f"costs: {name}",
        train("--costs", "{folder}/costs.yaml"),
        words,
        files={"costs.yaml": content},
    )


def _prior(name: str, content: str, *words: str) -> Case:
    return Case(
        f"prior: {name}",
        train("--prior", "{folder}/prior.yaml"),
        words,
        files={"prior.yaml": content},
    )


COSTS = [
    Case("costs: no such file", train("--costs", "{folder}/none.yaml"), ("no such cost file",)),
    Case("costs: a folder", train("--costs", "{rows}"), ("can't be read as a cost file",)),
    _costs("empty", "", "nothing"),
    _costs("a list", "- 1\n- 2\n", "name: value"),
    _costs("a spreadsheet", "true;decided;cost\nbank;light;5\n", "name: value"),
    _costs("not YAML", "costs: {bank: \n", "not a readable YAML file"),
    _costs("not UTF-8", "unit: \u00a3\n".encode("latin-1"), "UTF-8", "byte 7"),
    _costs("unknown key", "cost: {}\n", "unknown key 'cost'", "default"),
    _costs("class nearly right", "costs: {bnak: {light: 5}}\n", "'bnak'", "did you mean bank"),
    _costs("missed class unknown", "missed: {loan: 5}\n", "'loan'", "bank, light, music"),
    _costs("missed in words", "missed: {bank: dear}\n", "missed 'bank'", "'dear'", "number"),
    _costs("missed as a list", "missed: [bank]\n", "missed is", "true class"),
    _costs("nothing costs anything", "default: 0\n", "every mistake costs as much", "at least one"),
    _costs("a formula", "costs: {bank: {light: 2 * amount}}\n", "'2 * amount'", "times: COLUMN"),
    _costs("times nothing", "costs: {bank: {light: {times: }}}\n", "times is None", "column"),
    _costs("times a number", "costs: {bank: {light: {times: 5}}}\n", "times is 5", "column"),
    _costs(
        "factor in words",
        "costs: {bank: {light: {times: a, factor: much}}}\n",
        "factor is 'much'",
        "finite number",
    ),
    _costs(
        "unknown word in a cost",
        "costs: {bank: {light: {times: a, minus: 1}}}\n",
        "'minus'",
        "times, factor, plus",
    ),
    _costs(
        "times two columns",
        "costs: {bank: {light: {times: a}, music: {times: b}}}\n",
        "several columns",
        "'a'",
        "'b'",
    ),
    _costs(
        "times a column that is not there",
        "costs: {bank: {light: {times: amount}}}\n",
        "has no column 'amount' for the cost",
        "--cost",
    ),
    Case(
        "costs: a column that no cost is times of",
        train("--cost", "id"),
        ("--cost id", "no cost is times a column"),
    ),
    Case(
        "costs: the file given as the column",
        train("--cost", "{folder}/costs.yaml"),
        ("--cost", "no cost is times a column"),
        files={"costs.yaml": "default: 2\n"},
    ),
    Case(
        "costs: amounts in words",
        train("--costs", "{folder}/costs.yaml", "--cost", "text"),
        ("amounts in 'text'", "finite numbers of 0 or more"),
        files={"costs.yaml": "default: {times: amount}\n"},
    ),
    _costs("defer without a cost", "defer: {capacity: 0.1}\n", "defer states no cost"),
    _costs("defer in words", "defer: much\n", "defer costs 'much'", "number"),
    _costs("unknown word in defer", "defer: {cost: 1, people: 2}\n", "'people'", "capacity"),
    _costs(
        "a person's cost for one class only",
        "costs: {bank: {defer: 2}}\n",
        "leaving a row to a person",
        "defer: {cost: ...}",
    ),
    _costs("no capacity", "defer: {cost: 1, capacity: 0}\n", "capacity is 0", "leave `defer` out"),
    _costs("negative capacity", "defer: {cost: 1, capacity: -5%}\n", "'-5%'", "above 0"),
    _costs("capacity of rows", "defer: {cost: 1, capacity: 50}\n", "{rows: 50, of: 1000}"),
    _costs("capacity above all", "defer: {cost: 1, capacity: {rows: 9, of: 5}}\n", "at most M"),
    Case(
        "deferral by cost without costs",
        train("--remedy", "deferral:by=cost"),
        ("deferral: by=cost needs the remedy costs",),
    ),
    Case(
        "deferral by cost without a person's cost",
        train("--costs", "{folder}/c.yaml", "--remedy", "costs", "--remedy", "deferral:by=cost"),
        ("by=cost", "defer: {cost"),
        files={"c.yaml": "default: 2\n"},
    ),
    Case(
        "deferral that decides nothing",
        train("--remedy", "deferral:coverage=0"),
        ("deferral", "coverage"),
    ),
    _costs("unknown class", "costs: {bank: {loan: 5}}\n", "'loan'", "bank, light, music"),
    _costs("class in other letters", "costs: {Bank: {light: 5}}\n", "'Bank'"),
    _costs("a class called no", "costs: {no: {light: 5}}\n", "'no'", "bank, light, music"),
    _costs("a class called 010", "costs: {010: {light: 5}}\n", "'010'"),
    _costs(
        "a mistake below the right decision",
        "costs: {bank: {light: -5}}\n",
        "bank decided as light",
        "less than the right",
    ),
    _costs(
        "a right decision above the rest",
        "costs: {bank: {bank: 5}}\n",
        "bank decided as",
        "right decision (5)",
    ),
    _costs("a word as cost", "costs: {bank: {light: dear}}\n", "'light'", "'dear'", "number"),
    _costs("no cost", "costs: {bank: {light: }}\n", "None", "number"),
    _costs("yes as cost", "costs: {bank: {light: yes}}\n", "True", "number"),
    _costs("not a number", "costs: {bank: {light: .nan}}\n", "nan", "number"),
    _costs("infinite", "costs: {bank: {light: .inf}}\n", "inf", "number"),
    _costs("a list as cost", "costs: {bank: {light: [5]}}\n", "[5]", "number"),
    _costs("a number for a row", "costs: {bank: 5}\n", "'bank'", "decided class"),
    _costs("a list of costs", "costs: [1, 2]\n", "[1, 2]", "decided class"),
    _costs("a class twice", "costs:\n  bank: {light: 5}\n  bank: {music: 5}\n", "'bank'", "twice"),
    _costs("negative default", "default: -1\n", "default is -1", "0 or more"),
    _costs("default in words", "default: much\n", "default is 'much'"),
    _costs(
        "many faults", "dear: 1\ndefault: x\ncosts: {bank: {light: y}}\n", "'dear'", "'x'", "'y'"
    ),
]

COSTS += [
    _costs(
        "faults of every kind at once",
        "costs: {bnak: {light: 5}, bank: {light: -3, lihgt: 1}, light: {bank: dear}}\n"
        "missed: {music: {time: amount}}\n",
        *("'bnak' is not in the rows; did you mean bank", "bank decided as light costs -3"),
        *("'lihgt' is not in the rows; did you mean light", "'dear'", "did you mean times?"),
    ),
    _costs(
        "an unknown class beside a cheap mistake",
        "costs: {bnak: {light: 5}, bank: {light: -3}}\n",
        *("'bnak'", "bank decided as light costs -3"),
    ),
    _costs("a misspelt key", "defualt: 2\n", "unknown key 'defualt'; did you mean default?"),
    Case(
        "costs: audited with faults of every kind",
        ("audit", "{rows}", "--costs", "{folder}/c.yaml", "--out", "{folder}/audit"),
        ("'bnak'", "'dear'", "light decided as bank costs -1"),
        files={"c.yaml": "costs: {bnak: {light: 5}, bank: {light: dear}, light: {bank: -1}}\n"},
    ),
    Case(
        "costs: a column named for an audit without any",
        ("audit", "{rows}", "--cost", "id", "--out", "{folder}/audit"),
        ("--cost id", "no cost is times a column"),
    ),
    Case(
        "costs: amounts that differ and are no numbers",
        train("--costs", "{folder}/costs.yaml", "--cost", "customer"),
        ("hold 'c0' or the like",),
        files={"costs.yaml": "default: {times: amount}\n"},
    ),
]

PRIORS = [
    Case("prior: neither word nor file", train("--prior", "flat"), ("flat", "balanced", "file")),
    Case("prior: a folder", train("--prior", "{rows}"), ("can't be read",)),
    _prior("empty", "", "nothing"),
    _prior("a list", "[0.5, 0.5]\n", "name: value"),
    _prior("not YAML", "bank: [1\n", "not a readable YAML file"),
    _prior("a class too few", "{bank: 0.5, light: 0.5}\n", "no share for class 'music'"),
    _prior("a class too many", "{bank: 1, light: 1, music: 1, loan: 1}\n", "'loan'"),
    _prior("negative share", "{bank: 1, light: -1, music: 1}\n", "'light'", "-1", "above 0"),
    _prior("share of zero", "{bank: 1, light: 0, music: 1}\n", "'light'", "above 0"),
    _prior("share in words", "{bank: half, light: 1, music: 1}\n", "'half'"),
    _prior("infinite share", "{bank: .inf, light: 1, music: 1}\n", "'bank'", "inf"),
]

MONEY = [*COSTS, *PRIORS]
