"""Digests of the files that a run published, so that one damaged or edited since is reported before it is overwritten."""

from __future__ import annotations

from pathlib import Path

from adapt.storage import digests

RECORD_FILE = ".published.json"
PUBLISHED_FILES = (
    "results.json", "per_example.json", "recipe.lock.yaml", "report.html", "report.md", "seeds.json", "ablation.json", ".model.key",
)  # fmt: skip


def record(folder: Path) -> None:
    """Store size and digest of a run folder's published files."""
    files = [folder / name for name in PUBLISHED_FILES if (folder / name).is_file()]
    digests.write_verified(folder / RECORD_FILE, {"files": {file.name: digests.size_and_digest(file) for file in files}})


def changes(folder: Path) -> list[str]:
    """What is missing, damaged or edited since `record`, a phrase each; [] where nothing was published."""
    found = digests.read_verified(folder / RECORD_FILE)
    if found is None:
        if (folder / RECORD_FILE).exists():
            return [f"{RECORD_FILE} is damaged"]
        return [f"{RECORD_FILE} is missing"] if any((folder / name).exists() for name in PUBLISHED_FILES) else []
    return digests.find_damage(folder, found["files"])
