"""Splits as plain loops over rows, straight from their definitions.

skfolio, beside which other tests put the same splits, purges a fixed number of rows; here labels
end at moments of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

Pair = tuple[list[int], list[int]]
Blocks = list[set[int]]


def equal_blocks(time: Sequence[int], count: int) -> Blocks:
    """Rows of each block: moment m of n belongs to block ``floor(m * count / n)``."""
    moments = sorted(set(time))
    blocks: Blocks = [set() for _ in range(count)]
    for row, opened in enumerate(time):
        blocks[moments.index(opened) * count // len(moments)].add(row)
    return blocks


def folds_around(
    time: Sequence[int], ends_at: Sequence[int], count: int, tested: int, embargo: float
) -> list[Pair]:
    """Each combination of `tested` blocks and the rows that it leaves to train on."""
    blocks = equal_blocks(time, count)
    found = []
    for chosen in combinations(range(count), tested):
        windows = [
            (_opens(blocks, run, time), _closes(blocks, run, ends_at)) for run in _runs(chosen)
        ]
        test = sorted(row for block in chosen for row in blocks[block])
        train = [
            row
            for row in sorted(set(range(len(time))) - set(test))
            if all(
                ends_at[row] <= opens or time[row] >= closes + embargo for opens, closes in windows
            )
        ]
        found.append((train, test))
    return found


def walk_by_days(
    time: Sequence[int], ends_at: Sequence[int], count: int, every: float, train: float
) -> list[Pair]:
    """Tests of `every` hours up to the newest row; each trains on `train` hours before it."""
    found = []
    for left in range(count, 0, -1):
        after, until = max(time) - left * every, max(time) - (left - 1) * every
        test = [row for row, opened in enumerate(time) if after < opened <= until]
        first = min((time[row] for row in test), default=0)
        older = [row for row, opened in enumerate(time) if first - train <= opened < first]
        found.append(([row for row in older if ends_at[row] <= first] if test else [], test))
    return found


def _runs(chosen: Iterable[int]) -> list[list[int]]:
    """Neighbouring blocks as one."""
    runs: list[list[int]] = []
    for block in chosen:
        if runs and runs[-1][-1] == block - 1:
            runs[-1].append(block)
        else:
            runs.append([block])
    return runs


def _opens(blocks: Blocks, run: list[int], time: Sequence[int]) -> int:
    return min(time[row] for block in run for row in blocks[block])


def _closes(blocks: Blocks, run: list[int], ends_at: Sequence[int]) -> int:
    return max(ends_at[row] for block in run for row in blocks[block])
