"""A simulation of four heads on recorded 5-minute candles, trades among their rows."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.configuration.plan import write_plan
from pipeline.configuration.planning import plan_run
from pipeline.experiments.simulate.parcel import unwrap
from pipeline.frames import read_frame
from pipeline.runner import run_stage
from pipeline.stages import paths
from tests.spine import composed

STAGES = ("download", "validate", "features", "labels", "train")
HEADS = ("long_entry", "short_entry", "long_exit", "short_exit")


@pytest.mark.real
def test_every_head_of_a_turn_is_what_a_retrain_makes(
    home: Path, real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["recipe=bingx_dual", "exchange=replay", "split=holdout", "recipe.history_days=8"]
    words += ["model=lightgbm", "model.n_estimators=4", "exchange.codes={5m: 5m}"]
    words += [f"exchange.root={real_data / 'bingx_or_binance' / 'bingx_swap'}"]
    span = ["from=2025-09-01", "to=2025-09-03", "every=1d"]
    assert main(["simulate", *words, *span, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["policies"]["gated"]["log_loss"] < 0.7
    assert told["policies"]["gated"]["trades"] is not None
    (folder,) = home.glob("build/simulations/*/turns")
    second = unwrap((folder / told["turns"][1]["file"]).read_bytes())
    write_plan(plan_run(composed(*words, "as_of=2025-09-02T00:00Z")))
    for stage in STAGES:
        run_stage(stage)
    for head in HEADS:
        ours = read_frame(second[f"predictions/{head}.parquet"])
        theirs = read_frame(paths.PREDICTIONS / f"{head}.parquet")
        pd.testing.assert_frame_equal(ours[theirs.columns], theirs, check_exact=True)
        model = (paths.BUNDLE / "heads" / head).glob("model.*")
        for file in model:
            assert second[f"heads/{head}/{file.name}"] == file.read_bytes()
