"""What a finished run left in its workspace, made ready for the registry."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.build import TARGET
from pipeline.config import Node, read_yaml
from pipeline.configuration.plan import RUN, RunFacts
from pipeline.errors import StageError
from pipeline.evaluation.chronology import is_chronological
from pipeline.evaluation.comparison import OutOfFold
from pipeline.evaluation.fold_thresholds import with_scales
from pipeline.evaluation.metrics import with_outcomes
from pipeline.evaluation.prediction_paths import paths_of
from pipeline.frames import encode_frame, read_frame
from pipeline.models.bundle import FILE
from pipeline.operations.workspace import Workspace
from pipeline.runner import STAGES, TOLD, Timing, read_timing
from pipeline.stages import paths
from registry.card import Card
from registry.files import sha256
from registry.manifest import VerifiedBundle
from registry.slots import Slot

CARD, SEED = "card.json", "seed"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Files of a version to be, the figures measured on it, and its out-of-fold rows.

    `by_member` has each head's figures on every member of a pool, of one market nothing;
    `timings` tell what each stage cost when it last ran, `candles` where the run's clean candles
    lie; they are no part of the version.
    """

    files: dict[str, bytes]
    metrics: dict[str, float]
    scores: dict[str, dict[str, float]]
    quality: Node
    out_of_fold: dict[str, OutOfFold]
    timings: dict[str, Timing]
    candles: Path
    revisions_known: tuple[str, ...] = ()
    by_member: tuple[Node, ...] = ()


def collect(workspace: Workspace, slot: Slot, run: RunFacts) -> Candidate:
    """Read a workspace after ``dvc repro``; equal runs give equal files.

    Parameters
    ----------
    run
        What was asked for.

    Raises
    ------
    StageError
        When the workspace was built for something else.
    """
    built_for = RunFacts.parse(read_yaml(workspace.path(RUN)), str(RUN))
    if built_for != run:
        raise StageError(
            "the workspace was built for other choices than those asked for",
            where=str(workspace.folder),
            fix="repeat; nothing was registered",
        )
    bundle = _read_folder(workspace, paths.BUNDLE)
    told = json.loads(bundle[FILE])["heads"]
    frames = {head: _joined(workspace, head) for head in told}
    predictions = {f"predictions/{head}.parquet": encode_frame(frames[head]) for head in frames}
    details = _json(workspace, paths.HEADS)
    metrics = _json(workspace, paths.METRICS)
    quality = _json(workspace, paths.QUALITY)
    card = _card(workspace, slot, run, told)
    timings = {stage: read_timing(stage, workspace.folder) for stage in STAGES}
    training = _json(workspace, paths.TRAINING_REPORT)["heads"]
    return Candidate(
        files={**bundle, **predictions, **_pages(workspace), CARD: card.to_bytes()},
        metrics=metrics,
        scores={head: detail["scores"] for head, detail in details.items()},
        quality=quality,
        out_of_fold={
            head: _out_of_fold(
                with_scales(frames[head], training[head]["fits"]),
                told[head],
                is_chronological(training[head]["fits"]),
            )
            for head in told
        },
        revisions_known=tuple(_json(workspace, paths.RAW_MANIFEST).get("revisions_known", ())),
        timings={stage: timing for stage, timing in timings.items() if timing},
        candles=workspace.path(paths.CLEAN),
        by_member=tuple(detail.get("by_member", {}) for detail in details.values()),
    )


def out_of_fold_of(verified: VerifiedBundle) -> dict[str, OutOfFold]:
    """Out-of-fold rows that a registered version carries."""
    told = json.loads(verified.read(FILE))["heads"]
    page = paths.TRAINING_REPORT.name
    training = json.loads(verified.read(page))["heads"] if page in verified.names else {}
    fits = {head: training.get(head, {}).get("fits", ()) for head in told}
    return {
        head: _out_of_fold(
            with_scales(read_frame(verified.read(f"predictions/{head}.parquet")), fits[head]),
            told[head],
            is_chronological(fits[head]),
        )
        for head in told
    }


def _out_of_fold(frame: pd.DataFrame, told: Node, chronological: bool | None = None) -> OutOfFold:
    return OutOfFold(
        frame=paths_of(frame)[0],
        classes=tuple(told["classes"]),
        label=told["label"],
        chronological=chronological,
    )


def _joined(workspace: Workspace, head: str) -> pd.DataFrame:
    predictions = read_frame(workspace.path(paths.PREDICTIONS) / f"{head}.parquet")
    labels = read_frame(workspace.path(paths.LABELS) / f"{head}.parquet")
    return with_outcomes(predictions, labels)


def _read_folder(workspace: Workspace, folder: Path) -> dict[str, bytes]:
    root = workspace.path(folder)
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def _pages(workspace: Workspace) -> dict[str, bytes]:
    pages = (paths.REPORT, paths.TRAINING_REPORT)
    return {page.name: workspace.path(page).read_bytes() for page in pages}


def _json(workspace: Workspace, path: Path) -> Any:
    return json.loads(workspace.path(path).read_text())


def _card(workspace: Workspace, slot: Slot, run: RunFacts, told: Node) -> Card:
    stages = {name: read_yaml(workspace.path(TOLD / f"{name}.yaml")) for name in STAGES}
    manifest = _json(workspace, paths.RAW_MANIFEST)
    details = _json(workspace, paths.HEADS)
    training = _json(workspace, paths.TRAINING_REPORT)["heads"]
    libraries: dict[str, str] = {}
    for stage in stages.values():
        libraries |= stage["libraries"]
    return Card(
        slot=str(slot),
        recipe=run.recipe,
        exchange=run.exchange,
        feed=manifest["feed"],
        market=slot.market,
        timeframe=manifest["timeframe"],
        as_of=run.as_of,
        data={key: manifest[key] for key in ("first", "last", "rows", "sha256")},
        heads={head: _head_card(told[head], details[head]) for head in told},
        metrics=_json(workspace, paths.METRICS),
        heads_metrics={head: detail["scores"] for head, detail in details.items()},
        scores={head: detail["metrics"] for head, detail in details.items()},
        quality=_json(workspace, paths.QUALITY),
        config={name: stage["config"] for name, stage in stages.items()}
        | {"signal": {"action_threshold": run.action_threshold}},
        certification=_certification(training),
        seeds=dict(_seeds({name: stage["config"] for name, stage in stages.items()})),
        code={name: stage["code"] for name, stage in stages.items()},
        libraries=dict(sorted(libraries.items())),
        reproducible=stages["train"]["config"]["device"] == "cpu",
        notes=_notes(training) + _kept(told),
    )


def _certification(heads: Mapping[str, Node]) -> Node | None:
    """The refit of each head beside the model of its last fold, where its training told it."""
    told = {name: head["certification"] for name, head in heads.items() if "certification" in head}
    return told or None


def _seeds(node: Any, where: str = "") -> Iterator[tuple[str, int]]:
    for key, value in node.items() if isinstance(node, Mapping) else ():
        if key == SEED and isinstance(value, int):
            yield f"{where}{key}", value
        yield from _seeds(value, f"{where}{key}.")


def _notes(heads: Mapping[str, Node]) -> tuple[str, ...]:
    """What was asked for and not done: fits that were not calibrated."""
    left_out = [
        (head, fit["fit"], fit["calibration"]["left_out"])
        for head, training in sorted(heads.items())
        for fit in training["fits"]
        if "left_out" in fit.get("calibration", {})
    ]
    return tuple(f"head {head}, {fit} is not calibrated: {why}" for head, fit, why in left_out)


def _kept(told: Node) -> tuple[str, ...]:
    """Which heads were not trained but taken over."""
    return tuple(
        f"head {name} of {kept['version']}, sha256 {kept['sha256']}: not trained in this run; its "
        f"out-of-fold rows are those before {kept['as_of']}"
        for name, head in sorted(told.items())
        if (kept := head.get("kept"))
    )


def _head_card(told: Node, detail: Node) -> Node:
    table = told["features"]
    rows = sum(detail["class_rows"])
    return {
        "features": table["name"],
        "feature_digest": told["feature_digest"],
        "columns": [column["name"] for column in table["columns"]],
        "label": told["label"][TARGET],
        "label_digest": sha256(json.dumps(told["label"], sort_keys=True).encode()),
        "model": told["model"][TARGET],
        "calibration": told["calibrator"][TARGET] if "calibrator" in told else None,
        "classes": told["classes"],
        "rows": rows,
        "class_shares": {
            name: count / rows
            for name, count in zip(told["classes"], detail["class_rows"], strict=True)
        },
    }
