"""``reports/report.html``: one self-contained page of what a run found, for people.

::

    facts        what the page is made of
    page         render: facts become one HTML text
    figures      numbers and names as text
    markup       elements; every text that is not markup is escaped
    charts       scales, ticks and SVG pieces that stretch to any width
    beside       scores beside baselines, and whether the difference is more than luck
    calibration  scores of each fold, and probabilities against what happened
    verdict, money, dealt, scores, mistakes, parts, over_time, trust, fold_map, learning,
    importance, trained, quality, glossary
                 the parts of the page, in its order
    layout       what the parts share
    style        colours and sizes
"""

from pipeline.evaluation.report.facts import ReportFacts
from pipeline.evaluation.report.page import render

__all__ = ["ReportFacts", "render"]
