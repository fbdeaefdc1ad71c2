"""The rooms behind `equipoise.fit`: each holds one part of the story of a run.

folder.py      opening a run folder: new, resumed, finished, or not ours
arms.py        rows and remedies in, a trained model or logits out
decide.py      from logits to decisions
baselines.py   what the run is compared with
record.py      rows, order and manifest
clock.py       seconds per stage
"""
