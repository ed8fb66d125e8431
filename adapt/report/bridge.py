"""A run's result as the dictionaries that this room still reads. Goes when the room reads `RunResult`."""

from __future__ import annotations

from typing import Any

from adapt.results import Difference, RunResult, StepResult


def dictionaries(result: RunResult) -> dict[str, Any]:
    """What `results.json` held before it was typed."""
    roles = {name: check.role for name, check in result.checks.items()}
    modes = {"removed": "left out", "allowed": "allowed", "transductive": "transductive"}
    return {
        **result.model_dump(include={"recipe", "description", "model", "seed", "final", "changed", "warnings", "environment",
                                     "seconds"}),
        "steps": _steps(result),
        "dev": [
            {
                "after": "base" if row.after is None else f"gate-{row.after}" if row.gated else row.after, "kind": row.model,
                "deltas": {metric: _row(change) for metric, change in row.differences.items()}, "metrics": row.metrics,
            }
            for row in result.dev
        ],
        "test": [_row(row) for row in result.test],
        "cohorts": [_row(row) for row in result.topics],
        "smallest_gain": result.minimum_detectable_effect,
        "health": result.health,
        "synthetic": [name for name, check in result.checks.items() if check.synthetic],
        "leaks": [{"step": _name(s), "mode": modes[s.leaks.action], **s.leaks.counts} for s in result.steps if s.leaks],
        "speed": result.speed.model_dump() if result.speed else {},
        "roles": roles,
        "main": {name: check.metric for name, check in result.checks.items()},
        "lock": result.lock.model_dump(mode="json"),
        "sweep": [_row(row) for row in result.sweep],
        "branches": [
            {"step": one.step, "after": one.after, "word": one.trial.outcome, "p": one.trial.p,
             "sentence": one.trial.explanation, "action": one.action}
            for one in result.deferred
        ],
        "verdict": {"word": result.verdict.outcome, "sentence": result.verdict.sentence, "leaks": result.leaks_removed,
                    "allowed_leaks": result.leaks_allowed, "seeds": []},
    }  # fmt: skip


def _row(row: Difference) -> dict[str, Any]:
    found = row.model_dump()
    return {**found, "verdict": row.outcome, **({"holm": row.p_corrected} if row.p_corrected is not None else {})}


def _name(step: StepResult) -> str:
    return step.id if step.stage else f"data-{step.id}"


def _steps(result: RunResult) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for step in result.steps:
        name = _name(step)
        rows.append({"step": name, "stage": step.stage or "data", "key": step.key, "status": "cached" if step.cached else "done",
                     "why": step.reason, "seconds": step.seconds, "counts": dict(step.counts),
                     "wall": step.wall_seconds})  # fmt: skip
        gate = result.gate_of(step.id) if step.stage else None
        if gate:
            tried = [{"share": t.alpha, "word": t.outcome, "sentence": t.explanation, "passes": t.passes} for t in gate.trials]
            rows.append({"step": f"gate-{step.id}", "stage": "gate", "key": gate.key, "status": "cached" if gate.cached else "done",
                         "seconds": 0.0, "counts": {}, "share": gate.alpha, "tried": tried, "word": gate.trial.outcome,
                         "sentence": gate.trial.explanation, "action": gate.action})  # fmt: skip
    return rows
