"""Settings, remedies and recipe files that can't be used."""

from __future__ import annotations

from tests.bad_input.case import Case, train


def _set(assignment: str, *words: str, **more: object) -> Case:
    return Case(f"set {assignment}", train("--set", assignment), words, **more)  # type: ignore[arg-type]


def _remedy(name: str, remedies: list[str], *words: str) -> Case:
    return Case(
        f"remedy: {name}", train(*(part for r in remedies for part in ("--remedy", r))), words
    )


def _recipe(name: str, content: str | bytes, *words: str) -> Case:
    return Case(
        f"recipe: {name}",
        train("--recipe", "{folder}/recipe.yaml"),
        words,
        files={"recipe.yaml": content},
    )


ASSIGNMENTS = [
    _set("batch_rows", "name=value"),
    _set("=3", "name=value"),
    _set("train.batch_rows=[3", "can't read the value", "[3"),
    _set("train.batch_rows=0", "train.batch_rows", "above 0"),
    _set("train.batch_rows=many", "train.batch_rows", "a whole number", "'many'"),
    _set("train.batch_rows=7", "batch_rows=7", "device_rows=32"),
    _set("train.batch_row=64", "train.batch_row", "unknown setting", "batch_rows"),
    _set("train.batch_rows.more=3", "train.batch_rows", "a whole number"),
    _set("train=3", "train", "train is 3"),
    _set("trian.epochs=3", "trian", "did you mean train"),
    _set("train.learning_rate=0", "train.learning_rate", "above 0"),
    _set("train.learning_rate=-1e-4", "train.learning_rate"),
    _set("train.learning_rate=.nan", "train.learning_rate", "finite"),
    _set("train.learning_rate=.inf", "train.learning_rate", "finite"),
    _set("train.learning_rate=fast", "train.learning_rate", "'fast'"),
    _set("train.head_learning_rate=0", "train.head_learning_rate"),
    _set("train.learning_rate=1e30", "diverged", "learning_rate", begins=True),
    _set("train.schedule=stairs", "train.schedule", "'cosine'"),
    _set("train.warmup_share=6", "train.warmup_share", "at most 1"),
    _set("train.weight_decay=-1", "train.weight_decay"),
    _set("train.l1=-1", "train.l1"),
    _set("train.clip_norm=-1", "train.clip_norm"),
    _set("train.bucket_steps=0", "train.bucket_steps"),
    _set("train.precision=fp64", "train.precision", "'bf16'"),
    _set("train.precision=fp16", "fp16", "GPU"),
    _set("train.gradient_checkpointing=maybe", "train.gradient_checkpointing", "'maybe'"),
    _set("train.choose_by=beauty", "beauty", "macro_f1", "recall:CLASS"),
    _set("train.choose_by=recall:nobody", "nobody", "bank, light, music"),
    _set("train.patience=0", "train.patience"),
    _set("train.track=[klingon]", "klingon", "mlflow"),
    _set("train.track=mlflow", "train.track", "a list"),
    _set("model.max_tokens=0", "model.max_tokens"),
    _set("model.dropout=1", "model.dropout"),
    _set("model.rank=0", "model.rank"),
    _set("model.alpha=0", "model.alpha"),
    _set("model.pooling=deep", "model.pooling", "'mean'"),
    _set("model.four_bit=true", "four_bit", "lora"),
    _set("model.colour=blue", "model.colour", "unknown setting"),
    _set("split.validation_share=0", "split.validation_share"),
    _set("split.validation_share=1.5", "split.validation_share"),
    _set("split.threshold=0", "split.threshold"),
    _set("keep_texts=perhaps", "keep_texts", "'perhaps'"),
    _set("baselines=[tfidf, luck]", "baselines", "'vectors'", "luck"),
    _set("remedies=focal", "remedies", "'focal'"),
    _set("costs=5", "costs", "5"),
    _set("measure=beauty", "measure", "beauty", "macro_f1"),
    _set("prior=flat", "prior", "'balanced'", "flat"),
    Case(
        "shares that leave nothing",
        (
            "train",
            "{rows}/train.csv",
            "--model",
            "{base}",
            "--out",
            "{folder}/out",
            "--set",
            "split.validation_share=0.6",
            "--set",
            "split.test_share=0.5",
        ),
        ("validation_share 0.6", "test_share 0.5"),
    ),
    Case(
        "trained layers of full",
        train("--method", "full", "--set", "model.trained_layers=1"),
        ("trained_layers", "light"),
    ),
    Case(
        "four bits without the package",
        train("--method", "lora", "--set", "model.four_bit=true"),
        ("bitsandbytes", "pip install"),
    ),
    Case("unknown measure", train("--measure", "f1"), ("'f1'", "macro_f1")),
    Case(
        "measure that offsets can't serve",
        train("--measure", "mcc", "--remedy", "measure_offsets"),
        ("mcc", "offsets"),
    ),
    Case("unknown baseline", train("--baseline", "luck"), ("baselines", "luck")),
    Case("none beside a baseline", train("--baseline", "none", "--baseline", "tfidf"), ("none",)),
    Case("unknown tracker", train("--track", "papyrus"), ("papyrus", "mlflow")),
    Case("tracker that is not installed", train("--track", "comet_ml"), ("comet_ml", "install")),
    Case(
        "many faults at once",
        train(
            "--set",
            "train.epochs=0",
            "--set",
            "model.rank=0",
            "--method",
            "magic",
            "--remedy",
            "magic",
            "--set",
            "colour=blue",
        ),
        ("train.epochs", "model.rank", "model.method", "unknown remedy 'magic'", "colour"),
    ),
]

REMEDIES = [
    _remedy("unknown", ["magic"], "unknown remedy 'magic'", "equipoise remedies"),
    _remedy("misspelt", ["focall"], "did you mean focal"),
    _remedy("empty", [""], "unknown remedy"),
    _remedy("only a colon", [":"], "unknown remedy"),
    _remedy("none beside another", ["none", "focal"], "unknown remedy 'none'"),
    _remedy("setting without value", ["focal:gamma"], "key=value"),
    _remedy("setting without name", ["focal:=2"], "key=value"),
    _remedy("value in words", ["focal:gamma=high"], "gamma is 'high'"),
    _remedy("value out of range", ["focal:gamma=-1"], "gamma is '-1'"),
    _remedy("value not finite", ["logit_adjusted:tau=nan"], "tau is 'nan'", "finite"),
    _remedy("unknown setting", ["focal:tau=1"], "'tau'", "gamma"),
    _remedy("setting given twice", ["focal:gamma=1,gamma=2"], "gamma is given twice"),
    _remedy("setting where there are none", ["temperature:t=2"], "'t'"),
    _remedy("named twice", ["focal", "focal:gamma=1"], "named twice"),
    _remedy("two losses", ["focal", "logit_adjusted"], "exclude each other", "one loss"),
    _remedy("two corrections", ["class_weights", "logit_adjusted"], "twice", "twice=true"),
    _remedy("costs without costs", ["costs"], "--costs"),
    _remedy("several faults", ["magic", "focal:gamma=high"], "magic", "'high'"),
    Case(
        "remedy: costs beside offsets",
        train("--costs", "{folder}/costs.yaml", "--remedy", "costs", "--remedy", "measure_offsets"),
        ("costs", "measure_offsets", "exclude each other"),
        files={"costs.yaml": "default: 1\n"},
    ),
]

RECIPES = [
    Case("recipe: no such file", train("--recipe", "{folder}/none.yaml"), ("no such recipe file",)),
    Case("recipe: a folder", train("--recipe", "{rows}"), ("can't be read as a recipe file",)),
    _recipe("empty", "", "nothing"),
    _recipe("a list", "- a\n- b\n", "name: value", "['a', 'b']"),
    _recipe("a word", "light\n", "name: value", "light"),
    _recipe("not YAML", "model: [light\n", "not a readable YAML file", "line 2"),
    _recipe("tabs", "model:\n\tmethod: light\n", "not a readable YAML file", "line 2"),
    _recipe("not UTF-8", "model: {name: café}\n".encode("latin-1"), "UTF-8", "byte 18"),
    _recipe("a binary file", b"\x80\x00\xff\x13" * 40, "UTF-8"),
    _recipe("control characters", "model: \x07\n", "not a readable YAML file"),
    _recipe("a setting twice", "measure: macro_f1\nmeasure: accuracy\n", "'measure'", "twice"),
    _recipe("a list as a name", "[a, b]: 3\n", "a name must be plain text"),
    _recipe("code", "model: !!python/object/apply:os.getcwd []\n", "not a readable YAML file"),
    _recipe("nested too deep", "a: " + "[" * 5000, "not a readable YAML file"),
    _recipe("an unknown setting", "modle: {}\n", "modle", "did you mean model"),
    _recipe("an unknown setting in a group", "train: {rate: 1}\n", "train.rate", "learning_rate"),
    _recipe("a group without names", "train: [epochs]\n", "train is not a group"),
    _recipe("a word for a number", "train: {batch_rows: few}\n", "train.batch_rows", "'few'"),
    _recipe("out of range", "train: {warmup_share: -1}\n", "train.warmup_share", "is -1"),
    _recipe("remedies in one word", "remedies: focal\n", "remedies", "'focal'"),
    _recipe("remedies as numbers", "remedies: [1, 2]\n", "remedies.0", "remedies.1"),
    _recipe("an unknown remedy", "remedies: [magic]\n", "unknown remedy 'magic'"),
    _recipe("costs in it that are none", "costs: {costs: {bank: dear}}\n", "bank", "dear"),
    _recipe("a negative prior", "prior: {bank: -1, light: 1, music: 1}\n", "prior", "above 0"),
    _recipe("a record of another kind", '{"schema": 1, "id": "x"}', "schema", "unknown setting"),
]

SETTINGS = [*ASSIGNMENTS, *REMEDIES, *RECIPES]
