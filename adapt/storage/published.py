"""Which files a run published, with size and digest: one that was damaged or edited since is named before it is written again."""

from __future__ import annotations

from pathlib import Path

from adapt.storage import digests

RECORD = ".published.json"
FILES = (
    "results.json", "evidence.json", "recipe.lock.yaml", "report.html", "report.md", "seeds.json", "ablation.json", ".model.key",
)  # fmt: skip


def record(folder: Path) -> None:
    """Remember the published files of a run's folder as they are now."""
    there = [folder / name for name in FILES if (folder / name).is_file()]
    digests.write_sealed(folder / RECORD, {"files": {file.name: [file.stat().st_size, digests.of_file(file)] for file in there}})


def changes(folder: Path) -> list[str]:
    """What has become of these files since, a phrase each; [] where nothing was published."""
    found = digests.read_sealed(folder / RECORD)
    if found is None:
        if (folder / RECORD).exists():
            return [f"{RECORD} is damaged"]
        return [f"{RECORD} is missing"] if any((folder / name).exists() for name in FILES) else []
    return digests.damage(folder, found["files"])
