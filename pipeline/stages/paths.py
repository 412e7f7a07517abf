"""Where each stage's output lies, relative to the folder a run works in; dvc.yaml says the same."""

from __future__ import annotations

from pathlib import Path

RAW = Path("data/raw/candles.parquet")
RAW_MANIFEST = Path("data/raw/manifest.json")
REFERENCE = Path("data/raw/reference.parquet")
CLEAN = Path("data/clean/candles.parquet")
QUARANTINE = Path("data/clean/quarantine.parquet")
QUALITY = Path("data/quality.json")
FEATURES = Path("data/features")
LABELS = Path("data/labels")
BUNDLE = Path("models/candidate")
KEPT = Path("build/kept")  # heads that are not trained, each under its digest
PREDICTIONS = Path("data/predictions")
TRAINING = Path("data/training.json")
METRICS = Path("reports/metrics.json")
HEADS = Path("reports/heads.json")
VERDICT = Path("reports/verdict.json")
BACKTEST = Path("reports/backtest.json")
TRADES = Path("reports/trades.csv")
TRAINING_REPORT = Path("reports/training.json")
TRAINING_TABLE = Path("reports/training.md")
REPORT = Path("reports/report.html")
CONFUSION = Path("reports/plots/confusion.csv")
LOSS = Path("reports/plots/loss.csv")
IMPORTANCE = Path("reports/plots/importance.csv")
EQUITY = Path("reports/plots/equity.csv")
