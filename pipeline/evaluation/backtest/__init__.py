"""Trading on probabilities, simulated after costs."""

from pipeline.evaluation.backtest.profile import Profile
from pipeline.evaluation.backtest.result import Result, Setup, backtest

__all__ = ["Profile", "Result", "Setup", "backtest"]
