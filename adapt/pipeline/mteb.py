"""Write the metrics of checks as result files in MTEB's format (Muennighoff et al. 2023, https://arxiv.org/abs/2210.07316).

A model of this project is a sentence-transformers folder, so that `mteb.evaluate(SentenceTransformer(folder), tasks)` runs it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from adapt import checks
from adapt.checks import Measurement, Source, speed
from adapt.errors import UserError, did_you_mean
from adapt.models import lookup
from adapt.pipeline.plan import source_digest
from adapt.storage.store import cache_key, write_json

# MTEB tasks whose data a check may have, by the kind of check with the same metrics.
TASKS = {
    "retrieval": (
        "ArguAna", "ClimateFEVER", "CUREv1", "DBPedia", "FEVER", "FiQA2018", "HotpotQA", "MedicalQARetrieval", "MSMARCO",
        "NFCorpus", "NQ", "PublicHealthQA", "QuoraRetrieval", "SCIDOCS", "SciFact", "TRECCOVID", "Touche2020Retrieval.v3",
    ),
    "sts": ("BIOSSES", "SICK-R", "STS12", "STS13", "STS14", "STS15", "STS16", "STS17", "STS22", "STSBenchmark"),
    "pairs": ("SprintDuplicateQuestions", "TwitterSemEval2015", "TwitterURLCorpus"),
    "reranking": ("AskUbuntuDupQuestions", "SciDocsRR", "StackOverflowDupQuestions"),
}  # fmt: skip
COSINE = {
    "spearman": ("cosine_spearman", "spearman"), "pearson": ("cosine_pearson", "pearson"), "ap": ("cosine_ap", "similarity_ap"),
    "f1": ("cosine_f1", "similarity_f1"), "f1_threshold": ("cosine_f1_threshold", "similarity_f1_threshold"),
    "map": ("map_at_1000",),
}  # fmt: skip


def write(
    folder: Path,
    model: str,
    requested: Mapping[str, tuple[str, Source]],
    measured: Mapping[str, Measurement],
    split: str = "test",
    tasks: Mapping[str, str] | None = None,
    languages: Sequence[str] = ("eng-Latn",),
) -> list[Path]:
    """Result files of a model for each check, laid out so that `mteb.ResultCache(folder).load_results()` finds them.

    `requested`: {check: (kind, source)}; `measured`: {check: its measurement}; `tasks`: {check: the MTEB task of its data}, by
    default the check's own name. `dataset_revision` is a hash of the data, the model's revision a hash of its weights.
    `mteb_version` is null, since MTEB computed nothing. Raises UserError for a task of another kind or a misspelt one.
    """
    tasks = tasks or {}
    problems = [f"task {name}={task}: there is no check '{name}'" for name, task in tasks.items() if name not in requested]
    problems += [p for name, task in tasks.items() if name in requested and (p := _problem(name, task, requested[name][0]))]
    if problems:
        raise UserError(problems)
    place = lookup.find_model(model)
    name, revision = model_name(model), lookup.weights_digest(place)
    target = folder / "results" / name.replace("/", "__") / revision
    size = speed.size(place)
    meta = {"name": name, "revision": revision, "framework": ["Sentence Transformers", "PyTorch"], "loader": None}
    write_json(target / "model_meta.json", meta | {"n_parameters": size.get("parameters"), "open_weights": True})
    written = []
    for check, measurement in measured.items():
        kind, source = requested[check]
        task = tasks.get(check, check)
        main_score = measurement.metrics[checks.find(kind).main_metric]
        row = {"hf_subset": "default", "languages": list(languages), "main_score": main_score}
        result = {
            "dataset_revision": cache_key({"split": split, "data": source_digest(source)}),
            "task_name": task,
            "mteb_version": None,
            "scores": {split: [row | scores(measurement.metrics)]},
            "evaluation_time": None,
            "kg_co2_emissions": None,
        }
        written.append(target / f"{task}.json")
        write_json(written[-1], result)
    return written


def scores(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics under MTEB's names: ndcg@10 is ndcg_at_10, map map_at_1000, spearman cosine_spearman."""
    return {other: value for name, value in metrics.items() for other in COSINE.get(name, (name.replace("@", "_at_"),))}


def model_name(model: str) -> str:
    """A model's name in MTEB's form owner/name: the hub's, or local/ and the folder's (the run's, for a run's `model`)."""
    path = Path(model).expanduser()
    if not path.is_dir():
        return model if "/" in model else f"sentence-transformers/{model}"
    path = path.resolve()
    return "local/" + re.sub(r"[^\w.-]+", "-", path.parent.name if path.name == "model" else path.name)


def _problem(check: str, task: str, kind: str) -> str | None:
    """The problem with a task's name for a check of this kind; None if there is none."""
    known = {name: task_kind for task_kind, names in TASKS.items() for name in names}
    if not re.fullmatch(r"[\w.-]+", task):
        return f"task {check}={task}: a task's name has letters, digits, '.', '-' and '_' only"
    if task in known:
        return None if known[task] == kind else f"task {check}={task}: is a task of kind {known[task]}, the check is of kind {kind}"
    near = did_you_mean(task, known, list_all=False)
    return f"task {check}={task}: is not a known task.{near}" if near else None
