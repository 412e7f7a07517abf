"""How a head stands against knowing only how often each class comes, in one plain sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pipeline.evaluation.report.beside import Comparison, comparisons
from pipeline.evaluation.report.facts import HeadFacts, ReportFacts
from pipeline.evaluation.report.figures import GAP, percent
from pipeline.evaluation.report.markup import Content, Html, bare, join, tag

Stands = Literal["better", "undecidable", "worse"]
SHARES = "brier_skill"
BEYOND = {
    "skill_over_climatology": "beyond what the volatility alone tells",
    "direction_skill": "of the direction among moves",
}
WORDS: dict[str, Stands] = {"better": "better", "worse": "worse", "cannot tell": "undecidable"}
LEAVE, LEAVE_WORSE = "Do not use it.", "Do not use what is worse."
USUAL = "knowing only how often each class comes"


@dataclass(frozen=True, slots=True)
class Standing:
    """A head beside its baselines: by its Brier skill, and by what it knows beyond that."""

    name: str
    stands: Stands
    too_few: bool
    detectable: float
    skill: Comparison
    beyond: tuple[Comparison, ...]

    @property
    def unproven(self) -> tuple[Comparison, ...]:
        """The other skills named beforehand whose intervals are not above 0."""
        return tuple(each for each in self.beyond if each.word != "better")


def standing_of(head: HeadFacts) -> Standing:
    """Better, undecidable or worse by the 90 % interval of the Brier skill over the shares."""
    found = {each.name: each for each in comparisons(head)}
    skill = found[SHARES]
    return Standing(
        name=head.name,
        stands=WORDS[skill.word],
        too_few=head.too_few,
        detectable=head.scores["detectable_skill"],
        skill=skill,
        beyond=tuple(found[name] for name in BEYOND if name in found),
    )


def skill_between(each: Comparison) -> str:
    """A skill with its interval.

    Examples
    --------
    >>> one = Comparison("brier_skill", 0.046, 0.0, 0.046, 0.017, 0.077, "better")
    >>> skill_between(one).replace(GAP, " ")
    '+4.6 %, with 90 % confidence +1.7 to +7.7 %'
    """
    value = percent(each.value, signed=True)
    if not all(map(math.isfinite, (each.low, each.high))):
        return value
    low, high = (percent(end, signed=True) for end in (each.low, each.high))
    return f"{value}, with {percent(0.9, 0)} confidence {low.removesuffix(f'{GAP}%')} to {high}"


def told(one: Standing) -> Iterator[Content]:
    """The standing as a sentence, its word strong."""
    yield tag("strong", one.stands)
    if one.too_few:
        yield ", because so few independent rows could only have shown a very large skill"
        seen = one.detectable
        yield f", a Brier skill of {percent(seen)} or more." if math.isfinite(seen) else "."
        return
    figures = f"(Brier skill {skill_between(one.skill)})"
    if one.stands == "worse":
        yield f" than {USUAL} {figures}. {LEAVE}"
    elif one.stands == "undecidable":
        yield f": it may be better or worse than {USUAL} {figures}."
    else:
        yield f" than {USUAL}, by more than luck explains {figures}"
        yield _beyond(one)


def headline(facts: ReportFacts) -> str:
    """What the heads' standings come to."""
    standings = [standing_of(facts.head(name)) for name in facts.heads]
    if len(standings) == 1:
        return _of_one(standings[0])
    said = [
        f"{', '.join(one.name for one in same)} {'is' if len(same) == 1 else 'are'} {stands}"
        for stands in ("worse", "undecidable", "better")
        if (same := [one for one in standings if one.stands == stands])
    ]
    worse = any(one.stands == "worse" for one in standings)
    return f"Beside {USUAL}, {'; '.join(said)}.{f' {LEAVE_WORSE}' if worse else ''}"


def of_heads(facts: ReportFacts) -> Html:
    """Against its baselines: one sentence for each head."""
    heads = [facts.head(name) for name in facts.heads]
    if len(heads) == 1:
        return against(heads[0])
    lines = (tag("li", bare(each.name), ": ", *told(standing_of(each))) for each in heads)
    title = tag("p", "Against its baselines, head by head:")
    return tag("div", title, tag("ul", *lines), class_="against")


def against(head: HeadFacts) -> Html:
    """Against its baselines: one head."""
    return tag("p", "Against its baselines: ", *told(standing_of(head)), class_="against")


def _beyond(one: Standing) -> Html:
    if not one.unproven:
        return join(["; it beats each of its other baselines too."])
    parts = [
        f"{'it knows less' if each.word == 'worse' else 'not shown to know more'} "
        f"{BEYOND[each.name]} ({skill_between(each)})"
        for each in one.unproven
    ]
    return join([f"; but {', and '.join(parts)}."])


def _of_one(one: Standing) -> str:
    if one.too_few:
        return "There are too few independent rows to tell skill from luck."
    if one.stands == "worse":
        return f"It is worse than {USUAL}. {LEAVE}"
    if one.stands == "undecidable":
        return f"It cannot be told apart from {USUAL}: it may be better or worse."
    if not one.unproven:
        return f"It is better than {USUAL}, by more than luck explains."
    names = [each.name for each in one.unproven]
    lacks = "which way the price goes" if "direction_skill" in names else "more than volatility"
    return f"It is better than {USUAL}, but it is not shown to know {lacks}."
