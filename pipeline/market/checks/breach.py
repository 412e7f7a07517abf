"""How a broken check is told: the rule, where, what was found and expected, and what to do."""

from __future__ import annotations

from pipeline.errors import DataError
from pipeline.market.checks.cut import Cut, Finding
from pipeline.market.checks.schema import FIX

SHOWN = 3  # rows that a message names
WIDE = {
    "min_rows": "too few candles",
    "short_history": "the cut starts later than asked",
    "stale_end": "as_of lies beyond the data",
    "max_hole": "candles are missing",
    "shifted_hours": "the moments are not those of the second source",
    "unit_breaks": "a price changes its unit",
    "volume_breaks": "a volume changes its unit, or its market",
}
STARTS = "let history start after it (recipe.history_days)"
STILL = f"choose a market that trades, {STARTS}, or raise validation.max_constant_hours"
FIXES = {
    "min_rows": "ask for more history, sync, or lower validation.min_rows",
    "short_history": "ask for less history, or import older candles",
    "stale_end": "sync the market, choose an earlier as_of, or raise validation.max_stale_candles "
    "where the venue writes no candle without a trade",
    "shifted_hours": "read the source in its own time zone (exchange.zone), then sync again",
    "unit_breaks": f"bring the source to one unit and import it anew, or {STARTS}",
    "volume_breaks": f"bring the source to one unit and import it anew, or {STARTS}",
    "constant_price": STILL,
    "zero_volume": STILL,
}
LEAVE = "vintage data sync --force fetches the span anew; validation.verdicts.{name}=drop leaves "
LEAVE += "such rows out; the stage never repairs a candle"


def breach(cut: Cut, name: str, finding: Finding) -> DataError:
    """Error of a check that stops a cut."""
    fix = finding.fix or FIXES.get(name) or LEAVE.format(name=name)
    return _error(cut, name, finding, (cut.where, fix))


def breach_of_times(cut: Cut, name: str, finding: Finding, where: str) -> DataError:
    """Error of moments that cannot be those of candles, wherever they come from."""
    return _error(cut, name, finding, (where, FIX))


def _error(cut: Cut, name: str, finding: Finding, told: tuple[str, str]) -> DataError:
    (place, fix), column = told, finding.column()
    moment = cut.times[finding.first].isoformat() if len(cut.times) else "nothing"
    found = finding.found or moment
    if name in WIDE and column is None:
        place = f"{place}, as_of {cut.as_of.isoformat()}"
    else:
        place = f"{place}, {_rows(finding)}"
    if column is not None:
        place = f"{place}, {moment}, column {column}"
        found = repr(float(cut.candles[column].iloc[finding.first]))
    rows = "a candle breaks it" if finding.count == 1 else f"{finding.count} candles break it"
    return DataError(
        f"{name}: {WIDE.get(name, rows)}",
        where=place,
        found=found,
        expected=finding.expected,
        fix=fix,
    )


def _rows(finding: Finding) -> str:
    numbers = [str(row + 1) for row in finding.rows.nonzero()[0][:SHOWN]]
    more = ", …" if finding.count > SHOWN else ""
    return f"row{'s' * (finding.count > 1)} {', '.join(numbers)}{more}"
