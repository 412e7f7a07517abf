"""Values of hourly46 as they were when last accepted.

To accept new ones: ``VINTAGE_REFRESH_GOLDEN=1 python -m pytest tests/golden/test_hourly46.py``
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.build import build
from pipeline.config import read_yaml
from pipeline.features.feature_set import FeatureSet

FILE = Path(__file__).with_suffix(".json")
CONFIG = Path(__file__).resolve().parents[2] / "conf/features/hourly46.yaml"
ROWS = (415, 433, 500, 619)


def waves() -> pd.DataFrame:
    """Candles made of sine waves, with one hour without trade."""
    time = np.arange(620.0)
    close = 1e6 * (1 + 0.05 * np.sin(time / 37) + 0.01 * np.sin(time / 3.1 + 1))
    opened = np.r_[1e6, close[:-1]]
    volume = 20 + 15 * np.sin(time / 5)
    volume[432] = 0.0
    return pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * (1.001 + 0.0005 * np.sin(time)),
            "low": np.minimum(opened, close) * (0.999 - 0.0005 * np.cos(time)),
            "close": close,
            "volume": volume,
            "value": volume * close,
        },
        index=pd.date_range("2025-01-01", periods=620, freq="h", tz="UTC", name="time"),
    )


def test_values_and_digest_are_the_accepted_ones() -> None:
    features: FeatureSet = build(read_yaml(CONFIG), "features=hourly46")
    frame = features.compute_all(waves())
    found = {
        "digest": features.digest,
        "rows": {str(row): [float(f"{x:.6g}") for x in frame.iloc[row]] for row in ROWS},
    }
    if os.environ.get("VINTAGE_REFRESH_GOLDEN"):
        FILE.write_text(json.dumps(found, indent=1) + "\n")
    accepted = json.loads(FILE.read_text())
    assert found["digest"] == accepted["digest"]
    assert set(accepted["rows"]) == {str(row) for row in ROWS}
    for row, values in accepted["rows"].items():
        expected = dict(zip(features.names, values, strict=True))
        np.testing.assert_allclose(
            frame.iloc[int(row)], values, rtol=6e-6, atol=1e-12, err_msg=f"{row}: {expected}"
        )
