"""Every set of ``conf/features``, found here by itself, and the product's checker of causality."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.build import build
from pipeline.configuration.compose import read_root
from pipeline.configuration.conf_options import options
from pipeline.configuration.extended_sets import read_feature_set
from pipeline.experiments.audit.causality import Compute, leaking, part, tables
from pipeline.features.feature_set import FeatureSet
from tests.spine import CONF

__all__ = ["SETS", "Compute", "declared", "leaking", "part", "tables"]


def declared(name: str) -> FeatureSet:
    """A set of conf/, its parents' columns among its own."""
    made: FeatureSet = build(
        read_feature_set(CONF, name), f"features={name}", read_root(CONF).plugins
    )
    return made


SETS: Mapping[str, FeatureSet] = {name: declared(name) for name in options(CONF, "features")}
