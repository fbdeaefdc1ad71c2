"""What is wrong with the rows, measured, and what to try. Vectors, tokens and the scores of a probe
are handed in; `equipoise.auditing` makes them. See docs/audit.md.

given.py        what is handed in
audit.py        the story, in order
counts.py       classes and how unequal they are
repeats.py      repeats, look-alikes, conflicting labels, leaks between given parts
suspects.py     contradicted labels: whether there are too many, and which rows
neighbours.py   nearest neighbours; overlap.py: pairs of classes that can't be told apart
lengths.py language.py spoken.py groups.py drift.py power.py
findings/       what deserves to be said
case.py         what the training rows are like; advice.py: what to try
several.py      the story where a row may have several labels; co_occurrence.py, label_advice.py
written.py      the story where rows are written; answers.py, written_advice.py
stances.py      the order of advice; say.py: numbers and names in lines
"""

from equipoise.audit.audit import Audited, audit
from equipoise.audit.given import Given, TokenFacts

__all__ = ["Audited", "Given", "TokenFacts", "audit"]
