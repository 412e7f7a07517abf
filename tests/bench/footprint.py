"""Peak memory of the 46 columns over a million candles, beside the size of their table.

``python -m tests.bench.footprint``: one process, because a peak is told once per process.
"""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.build import build
from pipeline.config import read_yaml
from pipeline.features.feature_set import FeatureSet
from tests.bench import peers

CONFIG = Path(__file__).resolve().parents[2] / "conf/features/hourly46.yaml"


def main() -> None:
    """Measure and print."""
    features: FeatureSet = build(read_yaml(CONFIG), "features=hourly46")
    features.compute(peers.candles(2 * features.warm_up))
    candles = peers.candles(peers.LONG)
    before = _memory("VmRSS")
    table = features.compute(candles).to_numpy()
    grown = _memory("VmHWM") - before
    print(
        f"peak memory of {table.shape[1]} columns of {len(candles):,} candles: {grown / 2**20:.0f} "
        f"MiB beyond the candles, {grown / table.nbytes:.2f} x the table "
        f"({table.nbytes / 2**20:.0f} MiB)"
    )


def _memory(field: str) -> int:
    status = Path("/proc/self/status").read_text()  # ru_maxrss would start at the parent's peak
    return int(re.findall(rf"{field}:\s+(\d+) kB", status)[0]) * 1024


if __name__ == "__main__":
    main()
