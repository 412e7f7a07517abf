"""Score the out-of-fold predictions beside their baselines, and write what a person reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from pipeline.config import Record
from pipeline.evaluation.backtest import Profile, Setup
from pipeline.evaluation.chronology import is_chronological
from pipeline.evaluation.evidence import evidence_of, judge_alone
from pipeline.evaluation.fold_thresholds import with_scales
from pipeline.evaluation.metrics import (
    Scores,
    confusion,
    is_constant,
    mean_over_heads,
    score_head,
    with_outcomes,
)
from pipeline.evaluation.pooled_trading import PooledTrading, trade_pool
from pipeline.evaluation.prediction_paths import mean_over_paths, paths_of
from pipeline.evaluation.report import ReportFacts, render
from pipeline.evaluation.scorecard import Card, mean_of_cards, mean_skill, scorecard
from pipeline.evaluation.trading import Predicted, Trading, trade
from pipeline.evaluation.training_report import importance_table, loss_table, training_report
from pipeline.evaluation.training_table import training_markdown
from pipeline.frames import of_market, read_frame
from pipeline.market.pool import AnyMarket, Pool
from pipeline.runner import Context, Facts, to_json
from pipeline.stages import paths
from registry.conditions import GateConfig
from registry.files import write_atomic

Frames = dict[str, pd.DataFrame]


class Config(Record):
    """What was run, what each head's classes mean, how it is judged and how it is traded.

    `traded` is the market with its costs, or the pool with those of its members.
    """

    recipe: str
    exchange: str
    market: str
    timeframe: str
    as_of: str
    gate: GateConfig
    backtest: Profile
    traded: AnyMarket
    heads: dict[str, tuple[str, ...]]
    meanings: dict[str, tuple[str, ...]]

    @property
    def title(self) -> str:
        """What was run, in a few words."""
        return " · ".join((self.recipe, self.exchange, self.market, self.timeframe))


def run(config: Config, context: Context) -> Facts:  # noqa: ARG001
    """Flat figures for every recipe alike, details per head, plots and pages."""
    predicted = {head: paths_of(_join(head)) for head in sorted(config.heads)}
    scores = {
        head: mean_over_paths(
            [score_head(rows, config.heads[head], config.timeframe) for rows in each]
        )
        for head, each in predicted.items()
    }
    joined = {head: first for head, (first, *_) in predicted.items()}
    cards = {
        head: mean_of_cards([_card(config, head, rows) for rows in each])
        for head, each in predicted.items()
    }
    told = _read(paths.TRAINING)
    trading = _trading(config, joined, told)
    flat = mean_over_heads(scores) | mean_skill(cards) | trading.flat()
    classes = [len(names) for names in config.heads.values()]
    training = training_report(told, joined, config.heads)
    chronological = all(is_chronological(head["fits"]) for head in training["heads"].values())
    alone = judge_alone(evidence_of(scores, flat, classes, chronological), config.gate)
    written: dict[Path, Facts] = {
        paths.METRICS: flat,
        paths.HEADS: {
            head: _details(config, joined, head, scores) | cards[head] for head in joined
        },
        paths.VERDICT: alone,
        paths.BACKTEST: trading.facts(),
        paths.TRAINING_REPORT: training,
    }
    for path, facts in written.items():
        write_atomic(path, to_json(facts))
    write_atomic(paths.EQUITY, trading.equity().to_csv(index=False).encode())
    write_atomic(paths.TRADES, trading.trades().to_csv(index=False).encode())
    for path, text in _texts(config, joined, written, trading):
        write_atomic(path, text.encode())
    return {**flat, "verdict": alone["verdict"]}


def _join(head: str) -> pd.DataFrame:
    predictions = read_frame(paths.PREDICTIONS / f"{head}.parquet")
    return with_outcomes(predictions, read_frame(paths.LABELS / f"{head}.parquet"))


def _card(config: Config, head: str, rows: pd.DataFrame) -> Card:
    labels = read_frame(paths.LABELS / f"{head}.parquet")
    return scorecard(rows, config.heads[head], config.timeframe, labels, read_frame(paths.CLEAN))


def _trading(config: Config, joined: Frames, training: Facts) -> Trading | PooledTrading:
    heads = {
        head: Predicted(with_scales(rows, training["heads"][head]["fits"]), config.heads[head])
        for head, rows in joined.items()
    }
    traded, candles = config.traded, read_frame(paths.CLEAN)
    setup = Setup(config.backtest, traded.members[0], config.timeframe)
    if isinstance(traded, Pool):
        return trade_pool(heads, candles, setup, traded)
    return trade(heads, of_market(candles, config.market), setup)


def _read(path: Path) -> Facts:
    facts: Facts = json.loads(path.read_text())
    return facts


def _details(config: Config, joined: Frames, head: str, scores: dict[str, Scores]) -> Facts:
    classes, rows = config.heads[head], joined[head]
    probability = rows[[f"p_{name}" for name in classes]].to_numpy("float64")
    counts = confusion(probability, rows["label"].to_numpy("int64"))
    time = rows.index.get_level_values("time")
    return {
        "scores": scores[head],
        "constant": is_constant(rows, classes),
        "classes": list(classes),
        "confusion": counts.tolist(),
        "class_rows": counts.sum(axis=1).tolist(),
        "test_from": time.min().isoformat(),
        "test_to": time.max().isoformat(),
    }


def _texts(
    config: Config, joined: Frames, written: dict[Path, Facts], trading: Trading | PooledTrading
) -> Iterator[tuple[Path, str]]:
    training = written[paths.TRAINING_REPORT]
    outcomes = [_outcomes(head, rows, config.heads[head]) for head, rows in joined.items()]
    yield paths.TRAINING_TABLE, training_markdown(f"{config.title}, as of {config.as_of}", training)
    yield paths.CONFUSION, pd.concat(outcomes).to_csv(index=False)
    yield paths.LOSS, loss_table(training).to_csv(index=False)
    yield paths.IMPORTANCE, importance_table(training).to_csv(index=False)
    yield paths.REPORT, render(_report_facts(config, joined, written, trading))


def _outcomes(head: str, joined: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    names = pd.Series(classes)
    predicted = joined[[f"p_{name}" for name in classes]].to_numpy().argmax(axis=1)
    happened = joined["label"].to_numpy("int64")
    columns = {
        "head": head,
        "happened": names.iloc[happened].to_numpy(),
        "predicted": names.iloc[predicted].to_numpy(),
    }
    return pd.DataFrame(columns)


def _report_facts(
    config: Config,
    joined: Frames,
    written: dict[Path, Facts],
    trading: Trading | PooledTrading,
) -> ReportFacts:
    return ReportFacts(
        title=config.title,
        as_of=config.as_of,
        verdict=written[paths.VERDICT]["verdict"],
        sentence=written[paths.VERDICT]["sentence"],
        flat=written[paths.METRICS],
        heads=written[paths.HEADS],
        meanings=config.meanings,
        training=written[paths.TRAINING_REPORT],
        quality=_read(paths.QUALITY),
        candles=read_frame(paths.CLEAN),
        out_of_fold=joined,
        trading=trading,
    )
