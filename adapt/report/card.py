"""The model's card: what it comes from, how it was made, what was measured, under which licences; no row of anyone's data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapt.escaping import clean, escape_markdown, markdown_code
from adapt.report.formatting import chance, interval, metric, model_name, points

UNKNOWN = "not stated"
_LICENCE = re.compile(r"^\**licen[cs]e\**\s*:?\**\s*:?\s*([^\n]{1,80})", re.IGNORECASE | re.MULTILINE)


def licences(base: Path, data: Mapping[str, Any], labellers: Mapping[str, Path] | None = None) -> dict[str, dict[str, str]]:
    """The licences that the cards beside a model's and the data's files state: `{"models": {name: words}, "data": {name: words}}`.

    `base` is the base model's folder, `data` the recipe's {name: file or folder}, `labellers` folders of models that labelled.
    A card is a README.md in the folder or one above it; where it says nothing the licence is "not stated".
    """
    models = {"base": stated(base), **{name: stated(folder) for name, folder in (labellers or {}).items()}}
    return {"models": models, "data": {name: stated(Path(str(source))) for name, source in data.items()}}


def stated(place: Path) -> str:
    """What the nearest README.md says after "License:" or "Licence:", in its front matter or its text."""
    for folder in (place, place.parent):
        card = folder / "README.md"
        if card.is_file():
            said = _LICENCE.search(card.read_text(encoding="utf-8", errors="replace"))
            return clean(re.split(r"[(\[<,;]", said[1])[0].strip(" *.`'\""), 60) if said else UNKNOWN
    return UNKNOWN


def model_card(results: Mapping[str, Any]) -> str:
    """The card as a model hub reads it: YAML before it, then the text. `results` is what `results.json` holds."""
    import yaml

    name, base = str(results["recipe"]), model_name(results["model"])
    head: dict[str, Any] = {
        "tags": ["sentence-transformers", "sentence-similarity", "feature-extraction"],
        "pipeline_tag": "sentence-similarity",
        "library_name": "sentence-transformers",
    }
    if "/" in base or base == str(results["model"]):
        head["base_model"] = base if "/" in base else f"sentence-transformers/{base}"
    if results.get("test"):
        head["model-index"] = [{"name": clean(name, 100), "results": _index(results)}]
    front = yaml.safe_dump(head, sort_keys=False, allow_unicode=True)
    parts = [
        f"---\n{front}---",
        f"# {escape_markdown(name)}",
        escape_markdown(results.get("description", "")),
        f"{markdown_code(base)} adapted to its domain with the recipe {markdown_code(name)} (seed {results['seed']}).",
        f"**{escape_markdown(results['verdict']['word'])}**: {escape_markdown(results['verdict']['sentence'])}",
        _use(),
        "## How it was made\n" + "\n".join(_steps(results)),
        _measured(results),
        _limits(results),
        _licences(results, base),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _use() -> str:
    return """## Use
For search, clustering and comparison of texts of the domain that it was adapted to, in the language of its training texts.
Not for decisions about people without a person, and not as the only source of an answer.

    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer("path/to/this/folder")
    queries = model.encode(["a question"], prompt_name="query" if "query" in model.prompts else None)
    passages = model.encode(["a passage"], normalize_embeddings=True)
    print(model.similarity(queries, passages))"""


def _steps(results: Mapping[str, Any]) -> list[str]:
    """A line for each step: what it is, how many rows it made or trained on, and what the gate did with it."""
    steps = {step["step"]: step for step in results.get("steps") or []}
    lines = []
    for number, step in enumerate(results["lock"]["steps"], 1):
        rows = steps.get(step["id"], {}).get("counts", {}).get("rows")
        gate = steps.get(f"gate-{step['id']}", {}).get("action")
        more = [f"{rows:,} rows" if isinstance(rows, int) else "", f"the gate: {gate}" if gate else ""]
        words = "; ".join(part for part in more if part)
        lines.append(
            f"{number}. {escape_markdown(step['id'])}: {escape_markdown(step['stage'])}"
            + (f" ({escape_markdown(words)})" if words else "")
        )
    return lines


def _measured(results: Mapping[str, Any]) -> str:
    if not results.get("test"):
        return ""
    rows = "\n".join(
        f"| {escape_markdown(r['metric'])} | {escape_markdown(r['role'])} | {metric(r['base'])} | {metric(r['final'])} "
        f"| {points(r['delta'])} | {interval(r)} | {chance(r.get('p'))} |"
        for r in results["test"]
    )
    return f"""## On test data
Test data was touched once, after all choices were made. Points are hundredths; intervals are a paired bootstrap over items.

| metric | role | base | this model | change in points | 95 % interval | p |
|---|---|---|---|---|---|---|
{rows}"""


def _limits(results: Mapping[str, Any]) -> str:
    """What is not known of the model, or known to be worse."""
    found = [
        f"{escape_markdown(row['metric'])} is significantly worse than the base's."
        for row in results.get("test") or []
        if row["verdict"] == "worse"
    ]
    found += [escape_markdown(warning) for warning in results.get("warnings") or []]
    found.append("Measured on the data named above alone: other domains, languages and lengths of text may have lost.")
    found.append("Biases of the base model and of the training texts are kept.")
    return "## Limits\n" + "\n".join(f"- {line}" for line in found)


def _licences(results: Mapping[str, Any], base: str) -> str:
    """Each part with its licence; "not stated" where its card says nothing."""
    known = results.get("licences") or {}
    models, data = dict(known.get("models") or {}), dict(known.get("data") or {})
    lines = [f"- base model {markdown_code(base)}: {escape_markdown(models.pop('base', UNKNOWN))}"]
    labelled = [step["id"] for step in results["lock"]["steps"] if step["stage"] == "cross-encoder"]
    for name in labelled:
        words = models.pop(name, "as the base model")
        lines.append(f"- labeller {markdown_code(name)}, trained from the base model on the data below: {escape_markdown(words)}")
    lines += [f"- model {markdown_code(name)}: {escape_markdown(words)}" for name, words in models.items()]
    names = dict.fromkeys([*results["lock"].get("data", {}), *data])
    lines += [f"- data {markdown_code(name)}: {escape_markdown(data.get(name, UNKNOWN))}" for name in names]
    return "## Licences\n" + "\n".join(lines)


def _index(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The test table as model hubs read it; a check has the name that the recipe gives it."""
    found: dict[str, dict[str, Any]] = {}
    for row in results["test"]:
        check, _, name = str(row["metric"]).partition(".")
        entry = found.setdefault(
            check,
            {"task": {"type": "sentence-similarity"}, "dataset": {"name": f"{check} (test)", "type": "custom"}, "metrics": []},
        )
        entry["metrics"].append({"type": name.replace("@", "_at_"), "value": round(float(row["final"]), 5)})
    return list(found.values())
