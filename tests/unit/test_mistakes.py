"""What a user reads of a wrong value: words of the house, never the validator's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.errors import ConfigError
from pipeline.evaluation.backtest.profile import Profile
from pipeline.labels.exit import Exit
from pipeline.mistakes import fields_at
from tests.conftest import AS_OF
from tests.spine import chosen, one_paragraph, planned

RAW = ("input should", "should have", "should match", "valid integer", "unable to", "tag ")
FUTURES = "backtest=bingx_futures"
EXIT = ("label=long_exit", "features=exit44")
MISTAKES = [
    (["model.n_estimators=many"], "'n_estimators' is 'many', expected a whole number (boosting"),
    (["model.n_estimators=2.5"], "'n_estimators' is 2.5, expected a whole number"),
    (["model.learning_rate=0"], "'learning_rate' is 0, expected more than 0"),
    (["label.horizon_hours=day"], "'horizon_hours' is 'day', expected a number"),
    (["label.threshold=5"], "'threshold' is 5, expected less than 1 (a return: 0.01 is 1 %)"),
    ([*EXIT, "label.trades.hold=x"], "'trades.hold' is 'x', expected a whole number"),
    ([*EXIT, "label.trades.side=up"], "'trades.side' is 'up', expected 'long' or 'short'"),
    ([*EXIT, "label.trades.hold=2"], "in 'trades': no trade has a row: from_candle is 5, hold 2"),
    ([*EXIT, "label.trades=5"], "is not a mapping"),
    ([FUTURES, "backtest.sizing.base=3"], "'sizing.base' is 3, expected at most 1"),
    ([FUTURES, "backtest.sizing.bas=3"], "unknown key 'sizing.bas': did you mean base?"),
    ([FUTURES, "backtest.sizing.rule=fix"], "'sizing.rule' is 'fix', expected one of 'fixed', 't"),
    ([FUTURES, "backtest.max_holding=4x"], "'max_holding' is '4x', expected text such as 30m, 4h"),
    ([FUTURES, "backtest.venue=spt"], "'venue' is 'spt', expected 'spot' or 'swap'"),
    ([FUTURES, "backtest.cost_multiples=3"], "'cost_multiples' is 3, expected a list"),
    ([FUTURES, "backtest.stop_loss=0.1"], "'stop_loss' is 0.1, expected keys below it"),
    (["recipe.lookback=x"], "'lookback' is 'x', expected a whole number (candles a model may see)"),
    (["recipe.market=5"], "'market' is 5, expected text; put figures into quotes"),
    (["gate.min_common_rows=x"], "'min_common_rows' is 'x', expected a whole number"),
    (["validation.verdicts.non_finite=dropp"], "'verdicts.non_finite' is 'dropp', expected 'stop'"),
]


@pytest.mark.parametrize(
    ("words", "told"), MISTAKES, ids=[" ".join(words) for words, _ in MISTAKES]
)
def test_a_mistake_is_told_in_words_of_the_house(home: Path, words: list[str], told: str) -> None:
    if words[-1] == "label.trades=5":
        told = "'trades' is 5, expected keys below it"
    with pytest.raises(ConfigError) as refused:
        planned(*words)
    text = str(refused.value)
    assert told in text
    assert [raw for raw in RAW if raw in text.lower()] == []
    assert "To do: " in text


def test_keys_below_a_place_are_known() -> None:
    assert fields_at(Exit, ("trades",)) == [
        "side",
        "every",
        "hold",
        "stop",
        "profit",
        "from_candle",
    ]
    assert fields_at(Profile, ("sizing", "fixed")) == ["rule", "share"]
    assert fields_at(Profile, ("sizing",)) is None
    assert fields_at(Exit, ("share",)) is None
    assert fields_at(Exit, ("nothing",)) is None


PARAMS = """\
recipe: demo
exchange: simulated
market: SIM-BTC
features: recipe
label: {label}
model: recipe
split: recipe
gate: recipe
as_of: {as_of}
set: {set}
"""


@pytest.mark.parametrize(
    ("label", "given", "key"),
    [
        ("triple_barrier", "{label: {threshold: 0.02}}", "set.label.threshold"),
        ("three_class", "{label: {profit: 0.02}}", "set.label.profit"),
        (
            "three_class",
            "{heads: {direction: {label: {profit: 1}}}}",
            "set.heads.direction.label.profit",
        ),
        ("three_class", "{split: {folds: 3}}", "set.split.folds"),
    ],
)
def test_a_stale_key_of_params_is_told_with_its_file(
    home: Path, capsys: pytest.CaptureFixture[str], label: str, given: str, key: str
) -> None:
    text = PARAMS.format(label=label, set=given, as_of=AS_OF)
    (home / "params.yaml").write_text(text)
    assert main(["compose"]) == 2
    told = one_paragraph(capsys)
    assert f"unknown key '{key.rpartition('.')[2]}'" in told
    assert f"(params.yaml: {key}; the chosen {key.split('.')[-2]} has none)" in told
    assert f"To do: take {key} out of params.yaml, or choose a" in told


def test_a_stale_word_is_told_as_a_word(home: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"\(label\.threshold; the chosen label has none\)"
    ) as told:
        planned("label=triple_barrier", "label.threshold=0.02")
    assert "To do: leave label.threshold= out, or choose a label that has it" in str(told.value)
    assert "params.yaml" not in str(told.value)


def test_what_the_option_has_is_let_through(home: Path) -> None:
    assert chosen("label.threshold=0.02").set == {"label": {"threshold": 0.02}}
    words = ("features.columns.rsi.window=9", "heads.direction.label.horizon_hours=4")
    assert planned(*words, "backtest.stop_loss.share=0.05", "gate.min_common_rows=9")
