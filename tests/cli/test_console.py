"""Every table and every event of the terminal against hostile names."""

import io
import re
from types import SimpleNamespace

import pytest

from adapt import console
from adapt.job import Event
from adapt.results import (
    AblationRow,
    CheckInfo,
    Comparison,
    Contribution,
    DevMeasurement,
    GateDecision,
    RunResult,
    SeedSpread,
    SweepTrial,
)

HOSTILE = (
    "[/b]", "[bold red]x[/bold red]", "[link=http://evil.example]x[/link]", ":smile:", "a\\", "[", "]", "[]", "[/]", "\x1b[31mred",
    "\x1b]0;title\x07", "two\nlines", "tab\tstop", "\u202eback", "\ud800", "{x}", "%s %d", "[@click=quit]x", "日本語",
)  # fmt: skip
CHANGE = {"delta": 0.01, "low": -0.01, "high": 0.03, "p": 0.5, "outcome": "same"}


def printed(say) -> str:
    """What `say` prints through a printer, as a terminal that knows colours gets it."""
    printer = console.ProgressPrinter()
    printer.console.file, printer.console._force_terminal, printer.console._width = io.StringIO(), False, 500
    say(printer)
    return printer.console.file.getvalue()


def tables(name):
    row = Comparison(metric=name, role="target", base=0.1, final=0.2, **CHANGE)
    trial = {"alpha": 1.0, "outcome": "same", "explanation": name, "passes": True, "gain": 0.0, "guard_loss": 0.0}
    run = {
        "gates": (GateDecision(step=name, key="k", cached=False, alpha=1.0, trials=[trial]),),
        "dev": (DevMeasurement(after=name, gated=True, metrics={name: {name: 0.5}}, differences={f"{name}.{name}": CHANGE}),),
        "checks": {name: CheckInfo(kind="sts", role="target", metric=name)},
    }
    contribution = Contribution(metric=name, role="target", without=0.1, final=0.2, **CHANGE)
    return (
        console.test_table([row]),
        console.dev_table(RunResult.model_construct(**run)),
        console.plan_table([SimpleNamespace(name=name, cached=False, rows=3, reason=name)]),
        console.ablation_table([AblationRow(without=[name], contributions=[contribution])]),
        console.sweep_table([SweepTrial(settings={name: name}, metric=name, value=0.5, chosen=True, **CHANGE)]),
        console.seeds_table([SeedSpread(metric=name, role="target", deltas={3: 0.1}, mean=0.1, sd=0.0)]),
    )


def events(name):
    measured = {name: SimpleNamespace(metrics={name: 0.5})}
    progress = {"done": 1, "total": 1, "unit": name, "rate": 1.0, "left": 0.0, "extra": name}
    return (
        Event("step", name, {"cached": False, "reason": name}), Event("step", name, {"cached": True, "reason": name}),
        Event("note", name), Event("check", name, {"measured": measured}), Event("progress", name, progress),
        Event("verdict", name, {"outcome": name, "explanation": name, "action": name}),
    )  # fmt: skip


def shown_in(name: str) -> str:
    """What is to be seen of a name: all but controls, on one line."""
    return re.sub("[\x00-\x08\x0b-\x1f\u202e\ud800]", "", name).replace("\n", " ").replace("\t", " ")


@pytest.mark.parametrize("name", HOSTILE)
def test_tables_and_events_show_names_letter_by_letter(name, monkeypatch):
    monkeypatch.setattr(console, "PLAIN_SECONDS", -1.0)
    for table in tables(name):
        text = printed(lambda printer, table=table: printer.table(name, table))
        assert shown_in(name) in text and not re.search("[\x00-\x08\x0b-\x1f\u202e\ud800]", text)
        assert len(text.splitlines()) == 4  # an empty line, the title, the heads, one row: no line of the name's making
    for event in events(name):
        text = printed(lambda printer, event=event: printer(event))
        assert shown_in(name) in text and len(text.splitlines()) == 1
        assert not re.search("[\x00-\x08\x0b-\x1f\u202e\ud800]", text)
