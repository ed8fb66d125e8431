"""A run made visible: one HTML page without anything from elsewhere, the same in Markdown, and the model's card."""

from __future__ import annotations

from pathlib import Path

from adapt.report.card import licences, model_card
from adapt.storage import atomic, published

__all__ = ["licences", "model_card", "write_report"]


def write_report(run: Path) -> Path:
    """Write `report.html` and `report.md` from what the run's folder holds; the path of the page.

    Raises UserError where the folder holds no `results.json`.
    """
    from adapt.report import html, markdown, run_folder

    known = run_folder.read(run)
    for name, text in (("report.md", markdown.page(known)), ("report.html", html.page(known))):
        atomic.write_text(run / name, text)
    published.record(run)
    return run / "report.html"
