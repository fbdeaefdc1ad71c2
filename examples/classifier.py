"""Two recipes under cross-validation, in scikit-learn. Offline, half a minute on a CPU.

    python examples/classifier.py

A shop gets many questions, some complaints, and few messages that speak of danger. The default
encoder is tuned twice, plainly and with a margin for rare classes in the loss, beside a TF-IDF
model; the same folds judge all three. Twelve rows of danger judge nobody for good: the spread over
the folds says so.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline

from equipoise import EquipoiseClassifier

QUESTIONS = """
where is my parcel
when will the lamp be back in stock
can i still change the delivery address
do you ship to norway
how long does the battery last
is the charger part of the box
do you have this lamp in green
please send me the invoice once more
which bulbs fit the desk lamp
how do i clean the shade
can i pay by bank transfer
is there a student discount
does the lamp have a dimmer
how tall is the floor lamp
can two parcels be sent as one
what is the warranty on batteries
may i pick up my order in the shop
is the cable long enough for a bedroom
do you sell spare parts
how do i pair the lamp with my phone
can i return a gift
which plug does the charger have
is the blue one the same as last year
does the invoice show the tax
what time do you open on saturday
does the remote work through a wall
can i get the manual as a file
is the shade made of glass
how many lamps can one hub control
do you take old batteries back
""".strip().splitlines()
COMPLAINTS = """
the parcel is late for the third time
the lamp came with a scratched base
nobody answers my mails
i was charged twice for one order
the shade is smaller than the picture shows
the box was open and the cable missing
i waited a week for a reply that says nothing
the invoice has the wrong name again
the battery is empty after an hour
the refund has still not arrived
this is the wrong colour
the courier threw the parcel over the fence
the dimmer hums all evening
your app logs me out every day
the second lamp is dimmer than the first
the promised discount was not taken off
the switch feels cheap and loose
i have been on hold for forty minutes
""".strip().splitlines()
DANGER = """
the charger began to smoke on the desk
there is a burning smell from the lamp
my battery swelled up and got very hot
sparks came out of the plug
the cable melted into the carpet
i got an electric shock from the base
the adapter caught fire last night
the bulb burst and cut my hand
the casing is so hot that it burned my finger
something crackled and all the fuses blew
my child could touch the bare wire
the socket turned black around the plug
""".strip().splitlines()


def main() -> None:
    torch.set_num_threads(1)
    texts = np.array(QUESTIONS + COMPLAINTS + DANGER, dtype=object)
    labels = np.repeat(
        ["question", "complaint", "danger"], [len(QUESTIONS), len(COMPLAINTS), len(DANGER)]
    )
    arms = {
        "TF-IDF": make_pipeline(
            TfidfVectorizer(sublinear_tf=True), LogisticRegression(class_weight="balanced")
        ),
        # The states of the frozen layers are computed once and serve every fold of both recipes.
        "plain": EquipoiseClassifier(remedies=()),
        "logit-adjusted": EquipoiseClassifier(remedies=["logit_adjusted:tau=1", "temperature"]),
    }
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    scoring = {"macro": "f1_macro", "loss": "neg_log_loss"}
    print(f"{'arm':<16}{'macro-F1':>10}{'of folds':>14}{'log loss':>10}{'seconds':>9}")
    for name, arm in arms.items():
        found = cross_validate(arm, texts, labels, cv=folds, scoring=scoring)
        f1, loss = found["test_macro"], -found["test_loss"]
        spread = f"{f1.min():.2f} to {f1.max():.2f}"
        seconds = found["fit_time"].sum() + found["score_time"].sum()
        print(f"{name:<16}{f1.mean():>10.2f}{spread:>14}{loss.mean():>10.2f}{seconds:>9.1f}")


if __name__ == "__main__":
    main()
