"""The parts of a simulation, each on figures that can be checked by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from pipeline.commands.simulate import Span, span_of
from pipeline.errors import ConfigError
from pipeline.evaluation.backtest import Profile, Setup
from pipeline.evaluation.bootstrap import SEED, drawn_sums, interval
from pipeline.evaluation.comparison import OutOfFold
from pipeline.experiments.simulate.answering import Answers, key_of, said_by
from pipeline.experiments.simulate.fitting import FittedTurn
from pipeline.experiments.simulate.gate import Candidate, Decision, judged
from pipeline.experiments.simulate.history import History
from pipeline.experiments.simulate.losses import Losses, blocks_of_days
from pipeline.experiments.simulate.money import paired
from pipeline.experiments.simulate.parcel import as_array, as_bytes, unwrap, wrap
from pipeline.experiments.simulate.policies import (
    ALLOWED,
    FIRST,
    GATED,
    NEWEST,
    Turns,
    asked_of,
)
from pipeline.experiments.simulate.promotions import Judging, _answered, _money
from pipeline.experiments.simulate.rivals import Rival
from pipeline.experiments.simulate.schedule import Turn, turns
from pipeline.experiments.simulate.scoring import Outcomes, Scoring
from pipeline.experiments.simulate.staleness import staleness
from pipeline.market.holes import missing_between
from registry.conditions import GateConfig
from registry.evidence import ChampionEvidence, Evidence
from tests.stored import MARKET, candles

START = pd.Timestamp("2025-01-01T00:00Z")
DAY = pd.Timedelta(days=1)
CLASSES = ("sell", "hold", "buy")
SHARES = {"sell": 0.25, "hold": 0.5, "buy": 0.25}
SURE = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.125, 0.375, 0.5]])


def fitted(number: int, why_not: str = "") -> FittedTurn:
    turn = Turn(number, START + number * DAY, START + (number + 1) * DAY)
    heads = {"direction": {"rule": None, "class_shares": SHARES}}
    return FittedTurn(turn, Path(f"{number}.zip"), why_not, {} if why_not else heads, 100)


def keys(number: int, rows: int = 3) -> pd.MultiIndex:
    times = pd.date_range(START + number * DAY, periods=rows, freq="h", unit="ms")
    return pd.MultiIndex.from_product([["A-B"], times], names=["market", "time"])


def answers(number: int, models: dict[int, Any]) -> Answers:
    times = pd.DatetimeIndex(keys(number).get_level_values("time")).as_unit("ms").asi8
    files = {key_of("columns", "time"): as_bytes(times)}
    for model, chances in models.items():
        files[said_by(model, "direction")] = as_bytes(np.asarray(chances))
    tables = {"direction": "columns"}
    return Answers(fitted(number).turn, "", tuple(models), files, tables, "A-B", f"t{number}")


def scored(told: Answers, happened: dict[str, Outcomes], folder: Path) -> dict[int, Losses]:
    made = [fitted(number) for number in range(max([told.turn.number, *told.models]) + 1)]
    return Scoring(happened, (), folder, "code").of_turn(told, made)


def outcomes(number: int, labels: list[int]) -> dict[str, Outcomes]:
    index = keys(number, len(labels))
    ends = pd.DatetimeIndex(index.get_level_values("time")) + pd.Timedelta(hours=2)
    frame = pd.DataFrame({"label": labels, "ends_at": ends}, index)
    return {"direction": Outcomes(frame, CLASSES)}


def walked(count: int, *failed: int, modes: str = "observe") -> Turns:
    made = [fitted(number, "too few" if number in failed else "") for number in range(count)]
    champions = [
        max((k for k in range(n + 1) if k not in failed), default=None) for n in range(count)
    ]
    decided = [
        Decision(n, "observe", "", champion, None if champion is None else modes)  # type: ignore[arg-type]
        for n, champion in enumerate(champions)
    ]
    return Turns(made, decided, {})


def test_turns_cover_the_span_once_and_a_later_end_only_adds() -> None:
    short = turns(START, START + 10 * DAY, "3d", "1h")
    longer = turns(START, START + 12 * DAY, "3d", "1h")
    assert [turn.as_of for turn in short[1:]] == [turn.until for turn in short[:-1]]
    assert (short[0].as_of, short[-1].until) == (START, START + 10 * DAY)
    assert longer[:3] == short[:3]
    assert longer[3] == Turn(3, START + 9 * DAY, START + 12 * DAY)


@pytest.mark.parametrize(
    ("every", "told"), [("7", "no interval"), ("90m", "whole number"), ("0d", "no interval")]
)
def test_an_interval_is_a_whole_number_of_candles(every: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        turns(START, START + DAY, every, "1h")


def test_a_span_without_candles_and_one_of_too_many_turns_are_refused() -> None:
    with pytest.raises(ConfigError, match="holds no candle"):
        turns(START, START, "1d", "1h")
    with pytest.raises(ConfigError, match="too many turns"):
        turns(START, START + 300 * DAY, "1h", "1h")


def test_words_of_the_span_are_taken_out() -> None:
    span, rest = span_of(["from=2025-01-01", "recipe=demo", "to=2025-02-01T06:00Z", "every=1d"])
    assert span == Span("2025-01-01T00:00Z", "2025-02-01T06:00Z", "1d")
    assert rest == ["recipe=demo"]
    with pytest.raises(ConfigError, match="nothing says when the simulation begins"):
        span_of(["recipe=demo"])


def test_a_parcel_has_the_same_bytes_whatever_the_order() -> None:
    array = np.array([1.5, -0.0])
    one, other = {"a": b"1", "b/c": as_bytes(array)}, {"b/c": as_bytes(array), "a": b"1"}
    assert wrap(one) == wrap(other)
    assert unwrap(wrap(one), ["a"]) == {"a": b"1"}
    assert as_array(unwrap(wrap(one))["b/c"]).tobytes() == array.tobytes()


def test_a_cut_ends_with_the_last_closed_candle_and_tells_holes_inside_alone() -> None:
    whole = candles("2025-01-01", 48)
    broken = whole.drop(whole.index[[10, 30]])
    missing = missing_between(pd.DatetimeIndex(broken.index), pd.Timedelta(hours=1))
    history = History("A-B", "1h", broken, missing)
    cut = history.cut(START, START + pd.Timedelta(hours=24))
    assert cut.candles.index[-1] == START + pd.Timedelta(hours=23)
    assert [hole.first for hole in cut.asked.holes] == [START + pd.Timedelta(hours=10)]
    later = broken.copy()
    later.iloc[-1] *= 2
    changed = History("A-B", "1h", later, missing)
    assert changed.cut(START, START + pd.Timedelta(hours=24)).digest == cut.digest
    assert changed.cut(START, START + 2 * DAY).digest != history.cut(START, START + 2 * DAY).digest


def test_losses_are_the_ones_of_a_calculator(tmp_path: Path) -> None:
    found = scored(answers(0, {0: SURE}), outcomes(0, [0, 1, 2]), tmp_path)[0]
    assert found.mean("log_loss") == pytest.approx(np.log(2))
    assert found.usual().mean("log_loss") == pytest.approx((2 * np.log(4) + np.log(2)) / 3)
    sell, buy = 0.25 / 0.75, 0.5 / 0.625
    assert found.mean("direction") == pytest.approx((2 * sell**2 + 2 * (buy - 1) ** 2) / 2)
    assert found.usual().mean("direction") == pytest.approx(0.5)


def test_rows_whose_outcome_is_not_known_are_left_out(tmp_path: Path) -> None:
    found = scored(answers(0, {0: SURE}), outcomes(0, [0, 1]), tmp_path)[0]
    assert found.sums["log_loss", "direction", "rows"].sum() == 2


def test_losses_are_compared_on_the_turns_that_both_have(tmp_path: Path) -> None:
    known = [outcomes(number, [0, 1, 2]) for number in range(2)]
    said = [answers(0, {0: SURE}), answers(1, {0: SURE, 1: SURE[::-1]})]
    found = [scored(*each, tmp_path) for each in zip(said, known, strict=True)]
    ours, theirs = Losses.joined(each[0] for each in found), found[1][1]
    gap = ours.to(theirs, "log_loss", 1)
    assert gap is not None
    assert (gap.rows, gap.days) == (3, 1)
    assert gap.value == pytest.approx(gap.ours - gap.theirs)
    assert gap.value < 0
    assert gap.word == "undecidable"  # a day tells nothing
    assert ours.to(ours, "log_loss", 1).nothing  # type: ignore[union-attr]
    assert ours.to(Losses(), "log_loss", 1) is None


def test_what_was_scored_is_read_until_an_outcome_changes(tmp_path: Path) -> None:
    told = answers(0, {0: SURE})
    first = scored(told, outcomes(0, [0, 1]), tmp_path)
    (file,) = (tmp_path / "losses").iterdir()
    before = file.stat().st_mtime_ns
    pd.testing.assert_frame_equal(
        scored(told, outcomes(0, [0, 1]), tmp_path)[0].sums, first[0].sums
    )
    assert file.stat().st_mtime_ns == before
    later = scored(told, outcomes(0, [0, 1, 2]), tmp_path)
    assert later[0].sums["log_loss", "direction", "rows"].tolist() == [3.0]
    assert len(list((tmp_path / "losses").iterdir())) == 2


def test_a_candle_answers_for_every_trade_that_is_open_at_it(tmp_path: Path) -> None:
    times = keys(0).get_level_values("time")
    trades = [(times[0], times[1]), (times[0], times[2]), (times[1], times[2])]
    index = pd.MultiIndex.from_tuples(
        [("A-B", *each) for each in trades], names=["market", "trade", "time"]
    )
    frame = pd.DataFrame({"label": [0, 1, 2], "ends_at": times[2]}, index)
    found = scored(answers(0, {0: SURE}), {"direction": Outcomes(frame, CLASSES)}, tmp_path)[0]
    own = [-np.log(SURE[1, 0]), -np.log(SURE[2, 1]), -np.log(SURE[2, 2])]
    assert found.sums["log_loss", "direction", "own"].tolist() == [pytest.approx(sum(own))]


def test_a_model_that_is_better_every_day_is_called_better(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts: list[list[Losses]] = [[], []]
    for number in range(40):
        right = rng.integers(0, 3, 3)
        sure = np.full((3, 3), 0.2)
        sure[np.arange(3), right] = 0.6
        told = outcomes(number, right.tolist())
        found = scored(answers(number, {0: sure, 1: np.full((3, 3), 1 / 3)}), told, tmp_path)
        for kept, model in zip(parts, found, strict=True):
            kept.append(found[model])
    good, idle = (Losses.joined(each) for each in parts)
    better, worse = good.to(idle, "log_loss", 1), idle.to(good, "log_loss", 1)
    assert better is not None
    assert worse is not None
    assert (better.word, worse.word) == ("better", "worse")
    assert better.low <= better.value <= better.high < 0


def test_money_of_equal_policies_is_undecidable_and_of_a_better_one_better() -> None:
    noise = np.random.default_rng(1).normal(0, 0.01, 90)
    same = paired(noise, noise, 1)
    assert (same.differing_days, same.daily_difference, same.word) == (0, 0.0, "undecidable")
    better = paired(noise + 0.01, noise, 1)
    assert better.word == "better"
    assert better.candidate_return == pytest.approx(np.prod(1.01 + noise) - 1)


def test_a_failed_retrain_leaves_the_models_before_it() -> None:
    served = walked(4, 0, 2).served()
    assert served[FIRST] == (None, 1, 1, 1)
    assert served[NEWEST] == (None, 1, 1, 3)
    assert served[GATED] == (None, 1, 1, 3)
    assert served[ALLOWED] == (None, None, None, None)
    assert walked(2, modes="trade").served()[ALLOWED] == (0, 1)


def test_the_first_the_newest_and_models_of_stated_ages_are_asked() -> None:
    made = walked(12, 0, 10).fitted
    assert [model.turn.number for model in asked_of(made, 10)] == [1, 2, 6, 8, 9]
    assert asked_of(made, 0) == ()


def test_age_is_measured_beside_the_newest_on_the_same_candles(tmp_path: Path) -> None:
    good, bad = SURE, np.full((3, 3), 1 / 3)
    told = {n: answers(n, {n: good, n - 1: bad} if n else {0: good}) for n in range(30)}
    known = {n: outcomes(n, [0, 1, 2]) for n in range(30)}
    walk = walked(30)
    simulated = Turns(walk.fitted, walk.decided, {n: [each] for n, each in told.items()})

    found = {n: scored(told[n], known[n], tmp_path) for n in range(30)}
    newest, older = staleness(simulated, lambda turn, model: found[turn][model], 1)
    assert (newest.from_days, newest.turns, newest.gap) == (0.0, 30, None)
    assert (older.from_days, older.to_days, older.turns, older.rows) == (1.0, 2.0, 29, 87)
    assert older.gap is not None
    assert older.gap.word == "worse"
    assert older.gap.value == pytest.approx(np.log(3) - np.log(2))
    assert older.fresh_skill == pytest.approx(newest.skill)


def test_the_gate_is_asked_as_a_retrain_asks_it() -> None:
    evidence = Evidence(
        finite=False, effective_rows=99, brier_skill=0.1, brier_skill_low=0.1,
        balanced_accuracy=0.5, classes=3,
    )  # fmt: skip
    verdict, draw = judged(evidence, GateConfig(), made_on(1), [])
    assert (verdict.outcome, draw) == ("refuse", None)


def test_a_simulated_slot_draws_its_portions_as_a_slot_does() -> None:
    skilled = Evidence(
        finite=True, effective_rows=99, brier_skill=0.1, brier_skill_low=0.1, brier_skill_p=0.02,
        direction_skill=0.1, direction_skill_low=0.1, direction_skill_p=0.02,
        balanced_accuracy=0.5, classes=3,
    )  # fmt: skip
    decided: list[Decision] = []
    against = ChampionEvidence(version="v0001", mode="observe", comparable=False)
    for day in range(1, 61):
        evidence = skilled.model_copy(update={"champion": against if decided else None})
        verdict, draw = judged(evidence, GateConfig(), made_on(day), decided)
        assert verdict.outcome == "observe"
        assert (verdict.due is None) == (draw is not None)
        decided.append(Decision(day, verdict.outcome, "", day, "observe", draw))
    assert [each.turn for each in decided if each.draw] == [1, 32]
    lucky = skilled.model_copy(update={"brier_skill_p": 1e-4, "direction_skill_p": 1e-4})
    assert judged(lucky, GateConfig(), made_on(1), [])[0].outcome == "promote"
    lucky = lucky.model_copy(update={"champion": against})
    assert judged(lucky, GateConfig(), made_on(61), decided)[0].outcome == "observe"
    assert judged(lucky, GateConfig(), made_on(63), decided)[0].outcome == "promote"


def made_on(day: int) -> Candidate:
    moment = START + pd.Timedelta(days=day)
    return Candidate(f"t{day}", moment.isoformat())


def test_a_verdict_is_one_sentence_with_a_word_for_each_measure() -> None:
    noise = np.random.default_rng(1).normal(0, 0.01, 90)
    rival = Rival(FIRST, paired(noise + 0.01, noise, 1), {})
    assert rival.words == {"money": "better"}
    assert rival.sentence.startswith("Against never retraining it is by money better (+")
    same = Rival(FIRST, paired(noise, noise, 1), {})
    assert same.words == {"money": "the same"}
    few = Rival(FIRST, paired(noise[:9] + 0.01, noise[:9], 1), {})
    assert few.sentence.endswith("; 9 days tell, 20 are needed).")


def test_without_common_rows_the_champion_is_held_to_its_own_answers() -> None:
    rows = outcomes(1, [0, 1, 2])["direction"].frame
    told = rows.assign(p_sell=0.2, p_hold=0.2, p_buy=0.6, fold=0)
    said = _answered(
        fitted(0), "direction", OutOfFold(told, CLASSES, "day"), [answers(1, {0: SURE})]
    )
    assert said.as_of == START
    assert said.frame[["p_sell", "p_hold", "p_buy"]].to_numpy().tolist() == SURE.tolist()
    assert said.frame["label"].tolist() == [0, 1, 2]
    before = OutOfFold(told, CLASSES, "day")
    assert _answered(fitted(2), "direction", before, [answers(1, {2: SURE})]).frame.empty


def test_intervals_of_days_whose_labels_overlap_hold_nothing_nine_times_in_ten() -> None:
    rng, days, missed = np.random.default_rng(3), 90, 0
    blocks, hours = blocks_of_days(90, 1), np.full(90, 24.0)
    for _ in range(100):
        walk = np.r_[0.0, np.cumsum(rng.standard_normal(days * 24 + 24))]
        ahead = walk[24:-1] - walk[: days * 24]
        lean = np.repeat(rng.standard_normal(days // 3), 72)
        sums = np.column_stack([(lean * ahead).reshape(days, 24).sum(axis=1), hours])
        drawn = drawn_sums(sums, blocks, np.random.default_rng(SEED))
        low, high = interval(drawn[:, 0] / drawn[:, 1], blocks.widening)
        missed += not low <= 0 <= high
    assert missed <= 17


def test_a_learned_label_is_judged_by_the_line_of_the_newest_model(tmp_path: Path) -> None:
    calm, classes = np.array([[0.9, 0.1]] * 3), ("calm", "high")
    target = "pipeline.labels.learned.LearnedThreshold"
    made = [fitted(number) for number in range(2)]
    for model, line in zip(made, (0.1, 0.5), strict=True):
        rule = {"_target_": target, "threshold": line}
        model.heads["direction"] |= {"rule": rule, "class_shares": {"calm": 0.5, "high": 0.5}}
    frame = outcomes(1, [0, 0, 0])["direction"].frame.drop(columns="label")
    happened = {"direction": Outcomes(frame.assign(outcome=[0.2, 0.3, 0.6]), classes)}
    told = answers(1, {0: calm, 1: calm})
    found = Scoring(happened, (), tmp_path, "code").of_turn(told, made)
    for losses in found.values():
        own = losses.sums["log_loss", "direction", "own"].to_numpy()
        assert own == pytest.approx([-2 * np.log(0.9) - np.log(0.1)])


def test_money_is_compared_by_the_heads_that_both_have_rows_of() -> None:
    frame = outcomes(1, [0, 1, 2])["direction"].frame
    told = OutOfFold(frame.assign(p_sell=0.2, p_hold=0.2, p_buy=0.6, fold=0), CLASSES, "day")
    empty = replace(told, frame=told.frame.iloc[:0])
    profile = Profile.model_validate(
        {
            "venue": "spot", "long_threshold": 0.5, "short_threshold": 0.5,
            "sizing": {"rule": "fixed", "share": 0.1},
        }
    )  # fmt: skip
    setup = Setup(profile, MARKET.model_copy(update={"name": "A-B"}), "1h")
    judging = Judging(GateConfig(), setup, candles("2025-01-01", 96), cast("Any", None), Path())
    found = _money(judging, {"direction": told, "leave": told}, {"direction": told, "leave": empty})
    assert found.comparable
    assert found.differing_days == 0
    silent = _money(judging, {"direction": told}, {"direction": empty})
    assert (silent.comparable, silent.why_not) == (False, "one of the two never says when to enter")
