"""What a run returns and `results.json` holds: typed values, the only source of console, report, model card and command line.

`adapt schema results` prints their JSON Schema.
"""

from adapt.results.comparisons import Ablation, AblationRow, Contribution, Promotion
from adapt.results.run_result import FILE, SCHEMA_VERSION, RunResult
from adapt.results.values import (
    CheckInfo,
    Comparison,
    DeferredDecision,
    DevMeasurement,
    Difference,
    GateDecision,
    GateTrial,
    InputReport,
    LeakAction,
    LeakCounts,
    Lock,
    LockedData,
    LockedStep,
    Metrics,
    Outcome,
    Role,
    SeedSpread,
    Speed,
    StepResult,
    SweepTrial,
    TopicComparison,
    Verdict,
)

__all__ = [
    "FILE", "SCHEMA_VERSION", "Ablation", "AblationRow", "CheckInfo", "Comparison", "Contribution", "DeferredDecision",
    "DevMeasurement", "Difference", "GateDecision", "GateTrial", "InputReport", "LeakAction", "LeakCounts", "Lock", "LockedData",
    "LockedStep",
    "Metrics", "Outcome", "Promotion", "Role", "RunResult", "SeedSpread", "Speed", "StepResult", "SweepTrial", "TopicComparison",
    "Verdict",
]  # fmt: skip
