"""Text and numbers as a report shows them; any text of the data is made harmless here."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LONGEST = 600  # characters of any one text
# C0 and C1 controls, and the marks that turn the direction of what follows them: none has a place in a report.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")
_MARKS = re.compile(r"([\\`*_\[\]#|~$]|:(?=//)|^[-+=](?=\s|$|-))")
MINUS = "\u2212"


def clean(text: str, longest: int = LONGEST) -> str:
    """A text without control characters, direction marks and lone surrogates, cut to `longest` characters."""
    text = _CONTROLS.sub("", text[: 2 * longest])
    return text if len(text) <= longest else text[: longest - 1] + "…"


def marked(text: Any, longest: int = LONGEST) -> str:
    """A text on one line as GitHub's Markdown shows it letter by letter: no markup, no HTML, no mention, no link."""
    line = " ".join(clean(str(text), longest).split())
    line = _MARKS.sub(r"\\\1", line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    line = re.sub(r"(?i)\bwww\.", lambda found: f"{found[0][:3]}\\.", line)
    line = re.sub(r"(?<!\w)@", "@\u200b", line)  # `ndcg@10` is no mention
    return re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", line)


def code(text: Any) -> str:
    """A name in Markdown's typewriter letters, where nothing is markup."""
    return "`" + (" ".join(clean(str(text), 100).replace("`", "'").split()) or " ") + "`"


def model_name(model: Any) -> str:
    """A model's name as it may be published: a hub name as it is, a path without the folders of whoever made it."""
    name = str(model)
    local = name.startswith((".", "/", "~")) or "\\" in name or Path(name).is_absolute() or name.count("/") > 1
    return clean(Path(name).name if local else name, 100).replace("`", "'")


def points(value: Any) -> str:
    """A difference of two metrics in points (hundredths), with its sign."""
    if not _finite(value):
        return "–"
    return "0.0" if abs(value) < 0.0005 else f"{100 * value:+.1f}".replace("-", MINUS)


def interval(row: Mapping[str, Any]) -> str:
    """`low` to `high` of a difference, in points; a dash where they are not known."""
    if not (_finite(row.get("low")) and _finite(row.get("high"))):
        return "–"
    return f"{points(row['low'])} to {points(row['high'])}"


def metric(value: Any) -> str:
    """A metric's value, four digits."""
    return "–" if not _finite(value) else f"{value:.4f}".replace("-", MINUS)


def chance(p: Any) -> str:
    """A p-value."""
    return "–" if not _finite(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def seconds(value: Any) -> str:
    """A duration: 0.4 s, 35 s, 6:12, 1:04:10."""
    if not _finite(value):
        return "–"
    if value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def shown(value: Any) -> str:
    """Any value of a results file in a few words: numbers with four digits, lists and tables flattened."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "–"
        return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {shown(part)}" for name, part in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(shown(part) for part in value)
    return str(value)


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
