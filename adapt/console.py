"""What people see: progress with a rate and the time left, tables of measurements, the plan."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from adapt.job import Event

FILE_WIDTH = 200  # columns where there is no terminal to ask
PLAIN_SECONDS = 10.0  # between two lines of progress where there is no terminal


class Voice:
    """Hears events and prints them: a live bar on a terminal, one plain line now and then elsewhere; all on stderr or stdout."""

    def __init__(self, stderr: bool = False):
        stream = sys.stderr if stderr else sys.stdout
        self.out = Console(stderr=stderr, highlight=False, width=None if stream.isatty() else FILE_WIDTH)
        self.live: Progress | None = None
        self.task: TaskID | None = None
        self.label = ""
        self.spoken = time.monotonic()
        self.verdicts = {"better": "green", "same": "default", "worse": "red", "forgetting": "red"}

    def mute(self) -> None:
        """Say nothing from here on: one of several processes speaks for all."""
        self.out.quiet = True

    def __call__(self, event: Event) -> None:
        if event.kind == "progress":
            self._progress(event)
            return
        self._close()
        if event.kind == "step" and not event.data["cached"]:
            self.out.print(f"[bold]{escape(event.text)}[/bold]  {escape(event.data['why'])}")
        elif event.kind == "step":
            self.out.print(f"{escape(event.text)}  cached")
        elif event.kind == "note":
            self.out.print(f"  {escape(event.text)}")
        elif event.kind == "check" and event.data["measured"]:
            shown = "  ".join(f"{name} {main_value(m.metrics)}" for name, m in event.data["measured"].items())
            self.out.print(f"  check after {escape(event.text)}: {escape(shown)}")
        elif event.kind == "verdict":
            word, colour = event.data["word"], self.verdicts.get(event.data["word"], "default")
            self.out.print(f"  gate: [{colour}]{word}[/{colour}]: {escape(event.data['sentence'])}; {escape(event.data['action'])}")

    def _progress(self, event: Event) -> None:
        data = event.data
        words = (
            f"{data['done']:,}/{data['total']:,} {data['unit']}  {data['rate']:,.1f}/s  {clock(data['left'])} left  {data['extra']}"
        )
        if not self.out.is_terminal:
            if time.monotonic() - self.spoken >= PLAIN_SECONDS:
                self.spoken = time.monotonic()
                self.out.print(f"  {escape(event.text)}: {escape(words)}")
            return
        if self.live is None or self.label != event.text:
            self._close()
            self.live = Progress(
                TextColumn("  {task.description}"),
                BarColumn(24),
                TextColumn("{task.fields[words]}"),
                console=self.out,
                transient=True,
            )
            self.label = event.text
            self.task = self.live.add_task(escape(event.text), total=data["total"], words=words)
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


def main_value(metrics: Mapping[str, float]) -> str:
    """The first metric of a check, as its tables show it."""
    name, value = next(iter(metrics.items()))
    return f"{name} {defined(value, 3)}"


def sweep_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Every combination that a sweep tried: its settings, the target on dev data, and the change against the first."""
    names = list(rows[0]["settings"])
    table = Table(*map(escape, names), escape(rows[0]["metric"]), "change", "95 % interval", "", box=None, pad_edge=False)
    for row in rows:
        interval = f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}"
        values = [str(row["settings"][name]) for name in names]
        table.add_row(*map(escape, values), f"{row['value']:.4f}", f"{100 * row['delta']:+.1f}", interval, "*" * row["chosen"])
    return table


def spread_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The change of each metric with every seed, their mean and standard deviation."""
    table = Table("test", "role", *(f"seed {seed}" for seed in rows[0]["deltas"]), "mean", "± sd", box=None, pad_edge=False)
    for row in rows:
        values = [f"{100 * value:+.1f}" for value in row["deltas"].values()]
        table.add_row(escape(row["metric"]), row["role"], *values, f"{100 * row['mean']:+.1f}", f"{100 * row['sd']:.1f}")
    return table


def ablation_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What the whole recipe gains over the recipe without each step, for every main metric, with its interval."""
    names = [row["metric"] for row in rows[0]["worth"]] if rows else []
    table = Table("without", *map(escape, names), box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows:
        cells = [f"{100 * w['delta']:+.1f} ({100 * w['low']:+.1f} to {100 * w['high']:+.1f})" for w in row["worth"]]
        table.add_row(escape(", ".join(row["without"])), *cells)
    return table


def plan_table(lines: Sequence[Any]) -> Table:
    """What a run would do: step, cached or to do, rows, why."""
    table = Table("step", "state", "rows", "why", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for line in lines:
        rows = "–" if line.rows is None else f"{line.rows:,}"
        table.add_row(escape(line.name), "cached" if line.cached else "to do", rows, "" if line.cached else escape(line.why))
    return table


def dev_table(results: Mapping[str, Any]) -> Table:
    """Every model against every check's main metric on dev data, with its change against the model before."""
    names = [name for name in results["roles"] if any(name in row["metrics"] for row in results["dev"])]
    heads = [f"{escape(n)}\n{results['main'][n]}" for n in names]
    table = Table("after", *heads, "gate", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    gates = {step["step"]: step for step in results["steps"] if step["stage"] == "gate"}
    for row in results["dev"]:
        cells = []
        for name in names:
            metric = f"{name}.{results['main'][name]}"
            if name not in row["metrics"]:
                cells.append("")
                continue
            delta = row["deltas"].get(metric)
            cells.append(
                defined(row["metrics"][name][results["main"][name]]) + (f" ({100 * delta['delta']:+.1f})" if delta else "")
            )
        gate = gates.get(row["after"])
        table.add_row(escape(row["after"]), *cells, f"{gate['word']}; {gate['action']}" if gate else "")
    return table


def test_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Base against final on test data."""
    table = Table(
        "test", "role", "base", "final", "change", "95 % interval", "verdict", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for row in rows:
        interval = f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}" if row["low"] == row["low"] else "–"
        change = f"{100 * row['delta']:+.1f}" if row["delta"] == row["delta"] else "–"
        values = (defined(row["base"]), defined(row["final"]))
        table.add_row(escape(row["metric"]), row["role"], *values, change, interval, row["verdict"])
    return table
