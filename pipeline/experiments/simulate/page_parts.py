"""The parts of a simulation's page that hold charts: money, and what age costs."""

from __future__ import annotations

from typing import Any

from pipeline.evaluation.report.figures import GAP, NOTHING, count, decimal, percent
from pipeline.evaluation.report.layout import Place, figure, grid, lede, legend, section, table
from pipeline.evaluation.report.markup import Content, Html
from pipeline.experiments.simulate import drawings
from pipeline.experiments.simulate.figures import SHOWN, Simulated
from pipeline.experiments.simulate.money import CURVES
from pipeline.experiments.simulate.policies import TITLES

EQUITY = (
    "Equity in units of the start at the end of each day, after fees, slippage and funding. Every "
    "model is asked only about candles that came after it was made. Models in service are traded "
    "here whatever the gate says of them; lines that lie on each other have the same model."
)
AGE = (
    "Left: orange, models of that age; ring, the newest model on the same candles; 0 is knowing "
    "only the class shares. Right: log loss of the aged models less that of the newest, above 0 "
    "is what age costs. Ages differ in the candles that they can be measured on, so compare "
    "orange with the ring above the same age, not one age with another."
)


def money(found: Simulated, facts: dict[str, Any]) -> Html:
    """Equity of the policies, and their figures."""
    if found.money.why_not:
        text = lede(f"Nothing was traded: {found.money.why_not}.")
        return section(Place(), "money", "After costs", text)
    header = (
        "Policy",
        "Return",
        "Drawdown",
        "Sharpe",
        "Trades",
        "Log loss",
        "Baseline",
        "Direction",
    )
    rows = [_policy(facts["policies"][name]) for name in SHOWN]
    return section(
        Place(),
        "money",
        "After costs",
        lede(_traded(facts)),
        figure(drawings.equity(found.money), caption=EQUITY),
        figure(
            table(header, rows, "Policies beside each other", "numbers"),
            caption="Log loss: how far the probabilities were from what happened, a row; lower is "
            "better. Its baseline knows only how common each class was in the model's own training "
            "rows: a model above it predicts worse than that. Direction: Brier score of sell "
            "against buy among the rows that moved, a coin has 0.5. All of candles after the model "
            "was made.",
        ),
    )


def age(found: Simulated) -> Html:
    """Skill by the age of a model."""
    title, aged = "What age costs", found.aged
    if not aged:
        return section(Place(), "age", title, lede("No outcome is known yet."))
    swatches = [("aged", "models of that age"), ("fresh", "the newest model, same candles")]
    header = ("Age in days", "Turns", "Rows", "Skill", "Of the newest", "Costs", "90 % interval")
    rows = [
        [
            f"{each.from_days:g} to {each.to_days:g}",
            count(each.turns),
            count(each.rows),
            percent(each.skill, 2, signed=True),
            percent(each.fresh_skill, 2, signed=True),
            decimal(each.gap.value if each.gap else None, 4, signed=True),
            _reach(each.gap.low, each.gap.high) if each.gap else NOTHING,
        ]
        for each in aged
    ]
    return section(
        Place(),
        "age",
        title,
        lede(_ageing(found)),
        figure(
            legend(swatches),
            grid([drawings.skill_by_age(aged), drawings.loss_by_age(aged)], "half"),
            table(header, rows, "Skill by age", "numbers"),
            caption=AGE,
        ),
    )


def _traded(facts: dict[str, Any]) -> str:
    policies = facts["policies"]
    if not any(policies[name].get("trades") for name in TITLES):
        return "No probability reached its threshold, so no policy traded."
    told = (
        f"{TITLES[name]} {percent(policies[name].get('return'), signed=True)}" for name in CURVES
    )
    return f"After costs: {', '.join(told)}."


def _policy(told: dict[str, Any]) -> list[Content]:
    trades = told.get("trades")
    return [
        f"{told['title'][:1].upper()}{told['title'][1:]}",
        percent(told.get("return"), 2, signed=True),
        percent(told.get("drawdown"), 2),
        decimal(told.get("sharpe"), 2),
        NOTHING if trades is None else count(trades),
        decimal(told.get("log_loss"), 4),
        decimal(told.get("usual_log_loss"), 4),
        decimal(told.get("direction"), 4),
    ]


def _reach(low: float, high: float) -> str:
    return f"{decimal(low, 4, signed=True)} to {decimal(high, 4, signed=True)}".replace(" ", GAP)


def _ageing(found: Simulated) -> str:
    told = [each for each in found.aged if each.gap]
    costly = [each for each in told if each.gap and each.gap.word == "worse"]
    if costly:
        first = costly[0]
        return (
            f"Models of {first.from_days:g} to {first.to_days:g} days are the youngest that "
            "predict worse than the newest by more than luck explains."
        )
    if not told:
        return "No model grew older than one turn."
    return "At no age that was measured are models told to be worse than the newest."
