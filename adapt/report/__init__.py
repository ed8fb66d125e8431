"""The report of a run, as a self-contained HTML page and as Markdown, and the card of its model."""

from __future__ import annotations

from pathlib import Path

from adapt.report.card import Licences, find_licences, model_card
from adapt.storage import atomic, published

__all__ = ["Licences", "find_licences", "model_card", "write_report"]


def write_report(run: Path) -> Path:
    """Write `report.html` and `report.md` into a run's folder; returns the path of the HTML page.

    Raises UserError where the folder holds no `results.json`, or a file of the run is damaged.
    """
    from adapt.report import html, markdown
    from adapt.report.run_folder import RunFolder

    read = RunFolder.read(run)
    for name, text in (("report.md", markdown.page(read)), ("report.html", html.page(read))):
        atomic.write_text(run / name, text)
    published.record(run)
    return run / "report.html"
