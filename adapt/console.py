"""Output on the terminal: progress with a rate and the time left, the plan, tables of results."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column, Table
from rich.text import Text

from adapt.escaping import escape_terminal
from adapt.job import Event

if TYPE_CHECKING:
    from adapt.pipeline.plan import PlannedArtifact
    from adapt.results import AblationRow, Comparison, Difference, RunResult, SeedSpread, SweepTrial

FILE_WIDTH = 200  # columns where the output is no terminal
PLAIN_SECONDS = 10.0  # between two lines of progress where there is no terminal


class ProgressPrinter:
    """Prints events on stdout or stderr: progress as a live bar on a terminal, as a plain line every ten seconds elsewhere."""

    def __init__(self, stderr: bool = False):
        stream = sys.stderr if stderr else sys.stdout
        # No markup and no emoji codes: names and texts of users are printed as they are.
        width = None if stream.isatty() else FILE_WIDTH
        self.console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)
        self.live: Progress | None = None
        self.task: TaskID | None = None
        self.label = ""
        self.last_line = time.monotonic()
        self.colours = {"better": "green", "same": "default", "worse": "red", "forgetting": "red"}

    def line(self, words: str, *more: tuple[str, str]) -> None:
        """Print one line: `words`, then further (words, style)."""
        self.console.print(Text.assemble(escape_terminal(words), *((escape_terminal(part), style) for part, style in more)))

    def table(self, title: str, table: Table) -> None:
        """Print a table under its title."""
        self.console.print()
        self.line(title)
        self.console.print(table)

    def quiet(self) -> None:
        """Print nothing from here on, in all but one of several processes."""
        self.console.quiet = True

    def __call__(self, event: Event) -> None:
        if event.kind == "progress":
            self._progress(event)
            return
        self._close()
        if event.kind == "step" and not event.data["cached"]:
            self.line("", (event.text, "bold"), (f"  {event.data['reason']}", ""))
        elif event.kind == "step":
            self.line(f"{event.text}  cached")
        elif event.kind == "note":
            self.line(f"  {event.text}")
        elif event.kind == "check" and event.data["measured"]:
            shown = "  ".join(f"{name} {first_value(m.metrics)}" for name, m in event.data["measured"].items())
            self.line(f"  check after {event.text}: {shown}")
        elif event.kind == "verdict":
            outcome = event.data["outcome"]
            rest = f": {event.data['explanation']}; {event.data['action']}"
            self.line("  gate: ", (outcome, self.colours.get(outcome, "default")), (rest, ""))

    def _progress(self, event: Event) -> None:
        data = event.data
        words = (
            f"{data['done']:,}/{data['total']:,} {data['unit']}  {data['rate']:,.1f}/s  {clock(data['left'])} left  {data['extra']}"
        )
        if not self.console.is_terminal:
            if time.monotonic() - self.last_line >= PLAIN_SECONDS:
                self.last_line = time.monotonic()
                self.line(f"  {event.text}: {words}")
            return
        if self.live is None or self.label != event.text:
            self._close()
            self.live = Progress(
                TextColumn("  {task.description}", markup=False),
                BarColumn(24),
                TextColumn("{task.fields[words]}", markup=False),
                console=self.console,
                transient=True,
            )
            self.label = event.text
            self.task = self.live.add_task(escape_terminal(event.text), total=data["total"], words=words)
            self.live.start()
        assert self.task is not None
        self.live.update(self.task, completed=data["done"], words=words)
        if data["done"] >= data["total"]:
            self._close()

    def _close(self) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None


def clock(seconds: float) -> str:
    """Seconds as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def defined(value: float, digits: int = 4) -> str:
    """A metric's value, or that it has none."""
    return f"{value:.{digits}f}" if value == value else "undefined"


def points(delta: float) -> str:
    """A difference in points, with its sign."""
    return f"{100 * delta:+.1f}" if delta == delta else "–"


def interval(change: Difference) -> str:
    """The 95 % interval of a difference, in points."""
    return f"{points(change.low)} to {points(change.high)}" if change.low == change.low else "–"


def first_value(metrics: Mapping[str, float]) -> str:
    """The first metric of a check."""
    name, value = next(iter(metrics.items()))
    return f"{name} {defined(value, 3)}"


def sweep_table(trials: Sequence[SweepTrial]) -> Table:
    """Every combination of a sweep: its settings, the target on dev data, and the change from the first combination."""
    names = list(trials[0].settings)
    return _table(
        [*names, trials[0].metric, "change", "95 % interval", ""],
        [
            [
                *(trial.settings[name] for name in names), defined(trial.value), points(trial.delta), interval(trial),
                "chosen" if trial.chosen else "",
            ]
            for trial in trials
        ],
    )  # fmt: skip


def seeds_table(spreads: Sequence[SeedSpread]) -> Table:
    """The change of each metric with every seed, their mean and standard deviation."""
    return _table(
        ["test", "role", *(f"seed {seed}" for seed in spreads[0].deltas), "mean", "± sd"],
        [
            [one.metric, one.role, *map(points, one.deltas.values()), points(one.mean), f"{100 * one.sd:.1f}"] for one in spreads
        ],
    )  # fmt: skip


def ablation_table(rows: Sequence[AblationRow]) -> Table:
    """What the steps left out contribute to every main metric, with its interval."""
    names = [one.metric for one in rows[0].contributions] if rows else []
    cells = [[f"{points(one.delta)} ({interval(one)})" for one in row.contributions] for row in rows]
    return _table(["without", *names], [[", ".join(row.without), *own] for row, own in zip(rows, cells, strict=True)])


def plan_table(artifacts: Sequence[PlannedArtifact]) -> Table:
    """What a run would do: step, cached or to do, rows, the reason."""
    return _table(
        ["step", "state", "rows", "reason"],
        [
            [
                one.name, "cached" if one.cached else "to do", "–" if one.rows is None else f"{one.rows:,}",
                "" if one.cached else one.reason,
            ]
            for one in artifacts
        ],
    )  # fmt: skip


def dev_table(result: RunResult) -> Table:
    """Every model with every check's main metric on dev data, its change from the previous model, and the gate's decision."""
    checks = {name: check.metric for name, check in result.checks.items() if any(name in row.metrics for row in result.dev)}
    rows = []
    for row in result.dev:
        cells = []
        for name, metric in checks.items():
            change = row.differences.get(f"{name}.{metric}")
            value = defined(row.metrics[name][metric]) if name in row.metrics else ""
            cells.append(f"{value} ({points(change.delta)})" if change else value)
        gate = result.gate_of(row.after) if row.gated else None
        rows.append([row.name, *cells, f"{gate.trial.outcome}; {gate.action}" if gate else ""])
    return _table(["after", *(f"{name} {metric}" for name, metric in checks.items()), "gate"], rows)


def test_table(rows: Sequence[Comparison]) -> Table:
    """Base against final model on test data."""
    return _table(
        ["test", "role", "base", "final", "change", "95 % interval", "verdict"],
        [
            [row.metric, row.role, defined(row.base), defined(row.final), points(row.delta), interval(row), row.outcome]
            for row in rows
        ],
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table whose cells are printed as they are, without markup."""
    table = Table(*(Column(Text(escape_terminal(head))) for head in heads), box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*(Text(escape_terminal(cell)) for cell in row))
    return table
