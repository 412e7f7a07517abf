"""Nine mistakes that made old figures, each with a check that catches it by name.

::

    declared   the parts of one head, and what a check gives
    of_rows    mistakes of which rows are trained on, tested on and thrown together
    of_parts   mistakes in a label, in features, in a model
    checks     all of them by name
    planted    parts that have the mistakes, to prove the checks
"""
