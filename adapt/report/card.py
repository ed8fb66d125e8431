"""The model card: what the model is made from and how, its figures, limits and licences; never a row of the data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adapt.escaping import clean, escape_markdown, markdown_code
from adapt.report.formatting import format_interval, format_metric, format_p, format_points, model_name
from adapt.results import RunResult

UNKNOWN = "not stated"
_LICENCE = re.compile(r"^\**licen[cs]e\**\s*:?\**\s*:?\s*([^\n]{1,80})", re.IGNORECASE | re.MULTILINE)
_USE = """## Use
For search, clustering and comparison of texts of the domain that it is adapted to, in the language of its training texts.
Not for decisions about people without human review, and not as the only source of an answer.

    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer("path/to/this/folder")
    queries = model.encode(["a question"], prompt_name="query" if "query" in model.prompts else None)
    passages = model.encode(["a passage"], normalize_embeddings=True)
    print(model.similarity(queries, passages))"""


@dataclass(frozen=True)
class Licences:
    """Licences by name: of the base model, of published cross-encoders that labelled data, and of the recipe's data."""

    base: str = UNKNOWN
    labellers: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)


def find_licences(base: Path, data: Mapping[str, str | Path], labellers: Mapping[str, Path] | None = None) -> Licences:
    """The licences that the cards beside the model and the data state.

    `base` is the base model's folder, `data` {name: file or folder}, `labellers` {name: folder}. A card is the README.md in the
    folder or in the one above it; "not stated" where there is none or it states no licence.
    """
    return Licences(
        stated_licence(base),
        {name: stated_licence(folder) for name, folder in (labellers or {}).items()},
        {name: stated_licence(Path(source)) for name, source in data.items()},
    )


def stated_licence(place: Path) -> str:
    """What the nearest README.md states after "License:" or "Licence:", in its front matter or its text."""
    for folder in (place, place.parent):
        card = folder / "README.md"
        if card.is_file():
            match = _LICENCE.search(card.read_text(encoding="utf-8", errors="replace"))
            return clean(re.split(r"[(\[<,;]", match[1])[0].strip(" *.`'\""), 60) if match else UNKNOWN
    return UNKNOWN


def model_card(result: RunResult, licences: Licences = Licences()) -> str:
    """The card in the format of model hubs: YAML front matter, then Markdown."""
    import yaml

    name, base = result.recipe, model_name(result.model)
    head: dict[str, object] = {
        "tags": ["sentence-transformers", "sentence-similarity", "feature-extraction"],
        "pipeline_tag": "sentence-similarity",
        "library_name": "sentence-transformers",
    }
    if "/" in base or base == result.model:
        head["base_model"] = base if "/" in base else f"sentence-transformers/{base}"
    if result.test:
        head["model-index"] = [{"name": clean(name, 100), "results": _model_index(result)}]
    front_matter = yaml.safe_dump(head, sort_keys=False, allow_unicode=True)
    parts = [
        f"---\n{front_matter}---",
        f"# {escape_markdown(name)}",
        escape_markdown(result.description),
        f"{markdown_code(base)} adapted to a domain with the recipe {markdown_code(name)} (seed {result.seed}).",
        f"**{result.verdict.outcome}**: {escape_markdown(result.verdict.sentence)}",
        _USE,
        "## Training\n" + "\n".join(_steps(result)),
        _evaluation(result),
        _limitations(result),
        _licences(result, base, licences),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _steps(result: RunResult) -> list[str]:
    """A line for each step: its stage, how many rows it made or trained on, and the gate's decision."""
    lines = []
    for number, locked in enumerate(result.lock.steps, 1):
        step, gate = result.step(locked.id), result.gate_of(locked.id)
        rows = step.rows if step else None
        details = "; ".join([*([f"{rows:,} rows"] if rows is not None else []), *([f"gate: {gate.action}"] if gate else [])])
        lines.append(
            f"{number}. {escape_markdown(locked.id)}: {escape_markdown(locked.stage)}" + (f" ({details})" if details else "")
        )
    return lines


def _evaluation(result: RunResult) -> str:
    if not result.test:
        return ""
    rows = "\n".join(
        f"| {escape_markdown(r.metric)} | {escape_markdown(r.role)} | {format_metric(r.base)} | {format_metric(r.final)} "
        f"| {format_points(r.delta)} | {format_interval(r)} | {format_p(r.p)} |"
        for r in result.test
    )
    return f"""## Evaluation
Test data was used once, after all decisions. A point is 0.01; intervals are from a paired bootstrap over items.

| metric | role | base | this model | change in points | 95 % interval | p |
|---|---|---|---|---|---|---|
{rows}"""


def _limitations(result: RunResult) -> str:
    """What is unknown of the model, or known to be worse."""
    lines = [
        f"{escape_markdown(row.metric)} is significantly worse than the base model's."
        for row in result.test
        if row.outcome == "worse"
    ]
    lines += [escape_markdown(warning) for warning in result.warnings]
    lines.append("Evaluated only on the data named above: quality on other domains, languages and text lengths may have decreased.")
    lines.append("The model inherits biases of the base model and of the training texts.")
    return "## Limitations\n" + "\n".join(f"- {line}" for line in lines)


def _licences(result: RunResult, base: str, licences: Licences) -> str:
    """Every part with its licence."""
    labellers = dict(licences.labellers)
    lines = [f"- base model {markdown_code(base)}: {escape_markdown(licences.base)}"]
    for name in (step.id for step in result.lock.steps if step.stage == "cross-encoder"):
        licence = labellers.pop(name, "as the base model")
        lines.append(
            f"- cross-encoder {markdown_code(name)}, trained from the base model on the data below: {escape_markdown(licence)}"
        )
    lines += [f"- cross-encoder {markdown_code(name)}: {escape_markdown(licence)}" for name, licence in labellers.items()]
    names = dict.fromkeys([*result.lock.data, *licences.data])
    lines += [f"- data {markdown_code(name)}: {escape_markdown(licences.data.get(name, UNKNOWN))}" for name in names]
    return "## Licences\n" + "\n".join(lines)


def _model_index(result: RunResult) -> list[dict[str, object]]:
    """The test figures in the form of model hubs, one entry a check."""
    metrics: dict[str, list[dict[str, object]]] = {}
    for row in result.test:
        check, _, name = row.metric.partition(".")
        metrics.setdefault(check, []).append({"type": name.replace("@", "_at_"), "value": round(row.final, 5)})
    return [
        {
            "task": {"type": "sentence-similarity"}, "dataset": {"name": f"{check} (test)", "type": "custom"}, "metrics": found,
        }
        for check, found in metrics.items()
    ]  # fmt: skip
