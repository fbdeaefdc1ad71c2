"""A run whose target is text: what it does otherwise than one that classifies.

kind.py      the steps of the story, in their order
prepare.py   turns to token ids; what such rows can't have is refused
arm.py       feed, weigh, order and train: the remedies act by category
keep.py      what holds on to what the base can do
general.py   what texts unlike the rows cost, before and after
judge.py     how likely the right texts are held, what is written, and how good it is
compare.py   the untouched base, and the same recipe without remedies
"""
