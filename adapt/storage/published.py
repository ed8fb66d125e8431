"""Which files a run published, with size and digest: one that was damaged or edited since is named before it is written again."""

from __future__ import annotations

from pathlib import Path

from adapt.storage import digests

RECORD_FILE = ".published.json"
PUBLISHED_FILES = (
    "results.json", "evidence.json", "recipe.lock.yaml", "report.html", "report.md", "seeds.json", "ablation.json", ".model.key",
)  # fmt: skip


def record(folder: Path) -> None:
    """Remember the published files of a run's folder as they are now."""
    there = [folder / name for name in PUBLISHED_FILES if (folder / name).is_file()]
    digests.write_verified(
        folder / RECORD_FILE, {"files": {file.name: [file.stat().st_size, digests.file_digest(file)] for file in there}}
    )


def changes(folder: Path) -> list[str]:
    """What has become of these files since, a phrase each; [] where nothing was published."""
    found = digests.read_verified(folder / RECORD_FILE)
    if found is None:
        if (folder / RECORD_FILE).exists():
            return [f"{RECORD_FILE} is damaged"]
        return [f"{RECORD_FILE} is missing"] if any((folder / name).exists() for name in PUBLISHED_FILES) else []
    return digests.find_damage(folder, found["files"])
