"""Every table and every event of the terminal against hostile names."""

import io
import re
from types import SimpleNamespace

import pytest

from adapt import console
from adapt.job import Event

HOSTILE = (
    "[/b]", "[bold red]x[/bold red]", "[link=http://evil.example]x[/link]", ":smile:", "a\\", "[", "]", "[]", "[/]", "\x1b[31mred",
    "\x1b]0;title\x07", "two\nlines", "tab\tstop", "\u202eback", "\ud800", "{x}", "%s %d", "[@click=quit]x", "日本語",
)  # fmt: skip
DELTA = {"delta": 0.01, "low": -0.01, "high": 0.03}


def printed(say) -> str:
    """What `say` prints through a voice, as a terminal that knows colours gets it."""
    voice = console.Voice()
    voice.out.file, voice.out._force_terminal, voice.out._width = io.StringIO(), False, 500
    say(voice)
    return voice.out.file.getvalue()


def tables(name):
    row = {"metric": name, "role": name, "base": 0.1, "final": 0.2, "verdict": name, **DELTA}
    gate = {"step": name, "stage": "gate", "word": name, "action": name}
    dev = [{"after": name, "metrics": {name: {name: 0.5}}, "deltas": {f"{name}.{name}": DELTA}}]
    return (
        console.test_table([row]),
        console.dev_table({"roles": {name: "target"}, "dev": dev, "main": {name: name}, "steps": [gate]}),
        console.plan_table([SimpleNamespace(name=name, cached=False, rows=3, why=name)]),
        console.ablation_table([{"without": [name], "worth": [row]}]),
        console.sweep_table([{"settings": {name: name}, "metric": name, "value": 0.5, "chosen": True, **DELTA}]),
        console.spread_table([{"metric": name, "role": name, "deltas": {name: 0.1}, "mean": 0.1, "sd": 0.0}]),
    )


def events(name):
    measured = {name: SimpleNamespace(metrics={name: 0.5})}
    progress = {"done": 1, "total": 1, "unit": name, "rate": 1.0, "left": 0.0, "extra": name}
    return (
        Event("step", name, {"cached": False, "why": name}), Event("step", name, {"cached": True, "why": name}),
        Event("note", name), Event("check", name, {"measured": measured}), Event("progress", name, progress),
        Event("verdict", name, {"word": name, "sentence": name, "action": name}),
    )  # fmt: skip


def shown_in(name: str) -> str:
    """What is to be seen of a name: all but controls, on one line."""
    return re.sub("[\x00-\x08\x0b-\x1f\u202e\ud800]", "", name).replace("\n", " ").replace("\t", " ")


@pytest.mark.parametrize("name", HOSTILE)
def test_tables_and_events_show_names_letter_by_letter(name, monkeypatch):
    monkeypatch.setattr(console, "PLAIN_SECONDS", -1.0)
    for table in tables(name):
        text = printed(lambda voice, table=table: voice.table(name, table))
        assert text.count(shown_in(name)) >= 3 and not re.search("[\x00-\x08\x0b-\x1f\u202e\ud800]", text)
        assert len(text.splitlines()) == 4  # an empty line, the title, the heads, one row: no line of the name's making
    for event in events(name):
        text = printed(lambda voice, event=event: voice(event))
        assert shown_in(name) in text and len(text.splitlines()) == 1
        assert not re.search("[\x00-\x08\x0b-\x1f\u202e\ud800]", text)
