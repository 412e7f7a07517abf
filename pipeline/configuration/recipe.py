"""What a recipe says: its heads, and everything a run needs by default."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pipeline.config import Record

HeadName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class HeadChoice(Record):
    """A head is a triple."""

    features: str
    label: str
    model: str


class Recipe(Record):
    """A recipe names its heads and everything a run needs by default."""

    market: str
    timeframe: str
    history_days: Annotated[float, Field(gt=0, le=36500, description="days of candles")]
    heads: dict[HeadName, HeadChoice]
    lookback: Annotated[int, Field(ge=1, le=10_000, description="candles a model may see")]
    split: str
    validation: str
    gate: str
    backtest: str
    calibration: str = "none"
    action_threshold: Annotated[float, Field(ge=0, le=1, description="probability to act on")]
    challenger_share: Annotated[float, Field(ge=0, le=1, description="share of candles")] = 0.0
