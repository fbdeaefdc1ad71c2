"""Named treatments of imbalance, at four moments.

    rows/       which training rows are fed, and how often
    batches/    how much a class or row counts, and in which order rows are drawn
    losses/     what a wrong answer costs in training
    decisions/  how scores become probabilities, and probabilities a decision

Each remedy is a plain function with its paper in the docstring and one line in its folder's table;
`table.py` joins the four tables, `spec.py` reads `NAME:key=value,...`, `conflicts.py` refuses what
can't stand together, and `source.py` keeps track of the class shares the scores are meant for.

Nothing is imported here: `decisions` must stay usable without torch.
"""
