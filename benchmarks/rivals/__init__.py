"""The arms that Equipoise is compared with, each one a process of its own on the same three files.

    python -m benchmarks.rivals ARM FOLDER OUT SETTINGS

ARM is a name in `ARMS`; FOLDER holds train.csv, validation.csv and test.csv; OUT is the .npz that
the arm's probabilities of the judged rows are written to; SETTINGS is a JSON object: the unit's
settings, and `started`, the Unix time at which the process was asked for, so that every time in
the record counts start-up and imports, as a user's watch would. Printed is one JSON object: what
the arm has to say beside its probabilities. Equipoise itself is run as its own command, by
benchmarks/arms.py.

common.py       what arms are given and what they give back
regressions.py  logistic regression on TF-IDF, on vectors, on SMOTE's vectors
trainer.py      transformers' Trainer: plain, class weights, weighted sampler, early stopping
contrastive.py  SetFit
"""

from __future__ import annotations

from benchmarks.rivals.common import Arm
from benchmarks.rivals.contrastive import setfit
from benchmarks.rivals.regressions import smote, tfidf, tfidf_plain, vectors
from benchmarks.rivals.trainer import stock_trainer

__all__ = ["ARMS"]

ARMS: dict[str, Arm] = {
    "tfidf_plain": tfidf_plain,
    "tfidf": tfidf,
    "vectors": vectors,
    "smote": smote,
    "trainer_plain": stock_trainer,
    "trainer_weights": stock_trainer,
    "trainer_sampler": stock_trainer,
    "trainer_early": stock_trainer,
    "setfit": setfit,
}
