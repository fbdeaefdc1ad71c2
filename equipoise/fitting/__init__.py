"""The rooms behind `equipoise.fit`: each holds one part of the story of a run.

folder.py      opening a run folder: new, resumed, finished, or not ours
given_rows.py  rows beside the base that is to read them: all that is wrong, at once
prepared.py    what every arm starts from: rows divided, classes numbered, texts tokenized
treatment.py   the remedies on rows, batches and loss, at their moments
arms.py        one arm: treated rows in, a trained model out
measure.py     what a run decides by: a name, or a function of the user's
decide.py      from logits to decisions
baselines.py   what the run is compared with; rivals.py: the logits of those arms
record.py      rows, order and manifest
clock.py       seconds per stage
"""
