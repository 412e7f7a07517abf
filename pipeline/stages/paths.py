"""Where each stage's output lies, relative to the folder a run works in; dvc.yaml says the same."""

from __future__ import annotations

from pathlib import Path

RAW = Path("data/raw/candles.parquet")
RAW_MANIFEST = Path("data/raw/manifest.json")
CLEAN = Path("data/clean/candles.parquet")
QUALITY = Path("data/quality.json")
FEATURES = Path("data/features")
LABELS = Path("data/labels")
BUNDLE = Path("models/candidate")
PREDICTIONS = Path("data/predictions")
METRICS = Path("reports/metrics.json")
HEADS = Path("reports/heads.json")
CONFUSION = Path("reports/plots/confusion.csv")
