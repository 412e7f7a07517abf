"""Facts of runs that never were, for the report page."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from pipeline.evaluation.baselines import CLIMATOLOGY, MAJORITY, PERSISTENCE
from pipeline.evaluation.metrics import confusion, score_head
from pipeline.evaluation.report import ReportFacts, render
from pipeline.evaluation.scorecard import Head, figures
from pipeline.evaluation.trading import Trading
from pipeline.evaluation.training_report import per_class
from tests.conftest import AS_OF
from tests.pages import Element, parse

CLASSES = ("sell", "hold", "buy")
HOSTILE = "</style></title><script>alert(1)</script>\"'&<img src=x onerror=y>\u202e\x07"
LONE = "\ud800"


def predictions(skill: float, rows: int = 600, classes: tuple[str, ...] = CLASSES) -> pd.DataFrame:
    """Joined rows of three folds; `skill` is how far probabilities lean to what happens."""
    rng = np.random.default_rng(11)
    time = pd.date_range("2025-10-06", periods=rows, freq="1h", tz="UTC")
    index = pd.MultiIndex.from_product([["SIM-BTC"], time], names=["market", "time"])
    label = rng.integers(0, len(classes), rows)
    base = rng.dirichlet(np.full(len(classes), 40.0), 3).repeat(rows // 3, axis=0)
    raw = rng.dirichlet(np.full(len(classes), 20.0), rows)
    truth = np.eye(len(classes))[label]
    aim = truth if skill >= 0 else (1 - truth) / (len(classes) - 1)
    probability = (1 - abs(skill)) * raw + abs(skill) * aim
    frame = pd.DataFrame(index=index)
    frame["fold"] = np.repeat(np.arange(3), rows // 3)
    for k, name in enumerate(classes):
        frame[f"p_{name}"], frame[f"base_{name}"] = probability[:, k], base[:, k]
    frame["label"], frame["ends_at"] = label, time + pd.Timedelta("2h")
    return frame


def fits_of(joined: pd.DataFrame, curves: bool) -> list[dict[str, Any]]:
    lstm = {"epochs": 3, "best_epoch": 2, "best_validation_loss": 1.0}
    losses = {"training_losses": [1.2, 1.0, 0.8], "validation_losses": [1.1, 1.0, None]}
    parts = {"lstm": lstm | losses} if curves else {"lightgbm": {"rounds": 60}}
    start, step = pd.Timestamp("2025-07-01T00:00Z"), pd.Timedelta("1h")
    fits = []
    for fold, rows in joined.groupby("fold"):
        time = rows.index.get_level_values("time")
        spans = {
            "train": (start, time[0] - 25 * step),
            "purged": (time[0] - 24 * step, time[0] - step),
            "test": (time[0], time[-1]),
        }
        fit: dict[str, Any] = {"fit": f"fold {fold}", "parts": parts}
        for name, (first, last) in spans.items():
            fit[f"{name}_rows"] = int((last - first) / step) + 1
            fit |= {f"{name}_from": first.isoformat(), f"{name}_to": last.isoformat()}
            fit[f"{name}_blocks"] = [[first.isoformat(), last.isoformat()]]
        fits.append(fit)
    last = joined.index.get_level_values("time")[-1].isoformat()
    whole = {"train_rows": 3000, "train_from": start.isoformat(), "train_to": last}
    whole["train_blocks"] = [[start.isoformat(), last]]
    return [*fits, {"fit": "refit", **whole, "parts": parts}]


@dataclass
class Told:
    """What one head of the facts is made from."""

    joined: pd.DataFrame = field(default_factory=lambda: predictions(0.0))
    classes: tuple[str, ...] = CLASSES
    curves: bool = False
    importance: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"column": f"column_{k}", "increase": 0.01 / (k + 1), "error": 0.02} for k in range(20)
        ]
    )

    @property
    def meanings(self) -> tuple[str, ...]:
        return tuple(f"a day later {name} was right" for name in self.classes)

    def scored(self) -> dict[str, Any]:
        probability = self.joined[[f"p_{name}" for name in self.classes]].to_numpy()
        counts = confusion(probability, self.joined["label"].to_numpy())
        scores = score_head(self.joined, self.classes, "1h")
        facts = {"scores": scores, "classes": list(self.classes), "confusion": counts.tolist()}
        return facts | self.carded()

    def carded(self) -> dict[str, Any]:
        base = self.joined[[f"base_{name}" for name in self.classes]].to_numpy()
        others = dict.fromkeys((MAJORITY, PERSISTENCE, CLIMATOLOGY), base)
        metrics = figures(Head(self.joined, self.classes, "1h", others))
        part = {"rows": 200, "effective_rows": 90.0, "metrics": metrics}
        empty = {"rows": 0, "effective_rows": 0.0, "metrics": {}}
        by_regime = {"calm": part, "normal": {**part, "effective_rows": None}, "wild": empty}
        return {"metrics": metrics, "by_regime": by_regime, "by_month": {"2025-10": part}}

    def trained(self) -> dict[str, Any]:
        counts = np.array(self.scored()["confusion"])
        return {
            "model": "plugins.own.Own",
            "lookback": 24,
            "columns": ["a", "b"],
            "rows": 3000,
            "shape": [3000, 24, 2],
            "bytes": 48000,
            "classes": list(self.classes),
            "class_shares": dict.fromkeys(self.classes, 1 / len(self.classes)),
            "fits": fits_of(self.joined, self.curves),
            "paths": 1,
            "importance": self.importance,
            "confusion": counts.tolist(),
            "per_class": per_class(counts, self.classes),
        }


def candles_of(market: str = "SIM-BTC", rows: int = 4000) -> pd.DataFrame:
    time = pd.date_range(end="2025-12-19T23:00Z", periods=rows, freq="1h")
    close = 100 + np.random.default_rng(2).standard_normal(rows).cumsum() / 10
    index = pd.MultiIndex.from_product([[market], time], names=["market", "time"])
    return pd.DataFrame({"close": close}, index=index)


def facts_of(heads: dict[str, Told] | None = None, **changed: Any) -> ReportFacts:
    heads = heads or {"direction": Told()}
    scored = {name: head.scored() for name, head in heads.items()}
    flat = {
        key: float(np.mean([each["scores"][key] for each in scored.values()]))
        for key in next(iter(scored.values()))["scores"]
    }
    facts = ReportFacts(
        title="demo · simulated · SIM-BTC · 1h",
        as_of=AS_OF,
        verdict="observe",
        sentence="Observe, signals but no decisions: it is not shown to be better.",
        flat=flat,
        heads=scored,
        meanings={name: head.meanings for name, head in heads.items()},
        training={
            "libraries": {"numpy": "2.4.6"},
            "heads": {name: head.trained() for name, head in heads.items()},
        },
        quality={"candles": 4000, "missing": 0, "holes": 0, "history_short": False},
        candles=candles_of(),
        out_of_fold={name: head.joined for name, head in heads.items()},
        trading=Trading(None, "no head says when to enter"),
    )
    return replace(facts, **changed)


def stress() -> ReportFacts:
    columns = [{"column": HOSTILE, "increase": 0.5, "error": 0.1}]
    hostile = Told(predictions(0.3, classes=(HOSTILE, "down")), (HOSTILE, "down"), True, columns)
    quality = {
        HOSTILE: HOSTILE + LONE,
        "first": HOSTILE,
        "feeds": {"a": [1, None]},
        "candles": 4000,
    }
    heads = {HOSTILE: hostile, "other": Told()}
    return facts_of(
        heads, title=HOSTILE, sentence=HOSTILE, quality=quality, candles=candles_of(HOSTILE)
    )


def page_of(facts: ReportFacts) -> Element:
    return parse(render(facts))


def section_of(page: Element, anchor: str) -> Element:
    (found,) = (
        each for each in page.all("section") if each.attributes["aria-labelledby"] == anchor
    )
    return found


def lede_of(page: Element, anchor: str) -> str:
    return section_of(page, anchor).all("p", "lede")[0].text
