"""The layers of the package: imports go to lower layers only, and heavy libraries are imported in few packages."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "adapt"
# Lower numbers may be imported by higher ones; equals may import each other only inside one room.
LEVELS = {
    "errors": 0, "escaping": 0, "components": 0, "metrics": 0, "plugins": 0.5, "aliases": 0.5, "runtime": 1, "storage": 1.5,
    "job": 2, "text": 2, "records": 2, "run_details": 2, "settings": 2, "files": 3, "models": 4, "inference": 5, "retrieval": 6,
    "training": 7, "losses": 8, "stages": 9, "checks": 9, "recipe": 10, "results": 10.5, "report": 11, "pipeline": 12,
    "prepare": 13, "console": 13, "inputs": 13, "outputs": 13, "api": 14, "stage_functions": 14.5,
    "cli": 15, "__init__": 15, "__main__": 16,
}  # fmt: skip
HEAVY = {
    "torch": {"runtime", "models", "inference", "training", "losses", "retrieval", "stages"},
    "transformers": {"models", "inference", "training", "losses"},
    "sentence_transformers": {"models", "inference", "training", "losses", "outputs"},
    "nltk": {"text"}, "bm25s": {"retrieval"}, "jinja2": {"report"}, "rich": {"console"}, "click": {"cli"},
}  # fmt: skip


def room(file):
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file):
    """(module, whether at the top of the file) for every import."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"adapt.{alias.name}" for alias in node.names] if node.module == "adapt" else [node.module]
        for name in names:
            yield name, node in tree.body


def test_imports_go_down_only():
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 40
    wrong = []
    for file in files:
        here = room(file)
        for name, _ in imports(file):
            if name.startswith("adapt."):
                there = name.split(".")[1]
                if there in ("__version__", here):
                    continue
                if LEVELS[there] >= LEVELS[here]:
                    wrong.append(f"{file.relative_to(PACKAGE)} imports {there}")
    assert not wrong


def test_siblings_among_stages_and_checks_do_not_import_each_other():
    for folder in ("stages", "checks/kinds"):
        names = {f.stem for f in (PACKAGE / folder).glob("[!_]*.py")}
        assert len(names) > 5
        for file in (PACKAGE / folder).glob("*.py"):
            for name, _ in imports(file):
                above, _, last = name.rpartition(".")
                assert not (above == f"adapt.{folder}".replace("/", ".") and last in names - {file.stem}), file


def test_heavy_libraries_live_in_their_rooms_and_torch_is_lazy_elsewhere():
    for file in sorted(PACKAGE.rglob("*.py")):
        for name, top in imports(file):
            library = name.split(".")[0]
            if library in HEAVY:
                assert room(file) in HEAVY[library], f"{file.relative_to(PACKAGE)} imports {library}"
                assert not (library == "torch" and top and room(file) in ("hardware", "precision", "search", "stages")), file


def test_no_room_for_odds_and_ends():
    names = {f.stem for f in PACKAGE.rglob("*.py")}
    assert not names & {"utils", "helpers", "common", "base", "misc"}
