"""Judging where a row may have several labels: each label is a yes or no of its own.

outcomes.py   labels and decisions as tables of yes and no
measures.py   every measure as a function of counts or probabilities
per_label.py  precision, recall, F1 and average precision of each label
judge.py      a split judged; compare.py: two models on the same rows
quick.py      what training looks at after every epoch
"""
