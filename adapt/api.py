"""The Python API: run a recipe or a single stage, evaluate a model, compare two. `import adapt` offers these names lazily.

Data are paths or Python data (see `adapt.inputs.Data`), models are paths, names, loaded models or results of stages. Wrong input
raises `adapt.UserError` with every problem at once; `adapt.WorkFailed` is raised where training diverges or a gate stops a run.

A `listener` is called with every `adapt.job.Event`. Progress as a bar:

>>> from tqdm.auto import tqdm
>>> bar = tqdm()  # doctest: +SKIP
>>> def show(event):
...     if event.kind == "progress":
...         bar.total, bar.n = event.data["total"], event.data["done"]
...         bar.set_description(event.text)
>>> tuned = adapt.tsdae(model="all-MiniLM-L6-v2", texts=texts, listener=show)  # doctest: +SKIP
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pydantic import ValidationError

from adapt import aliases, checks, files, stages
from adapt.errors import UserError, WorkFailed, did_you_mean
from adapt.inputs import Data, Model, check_source, model_name, notes_on_data, sources
from adapt.job import Event, Listener, ignore_events, temporary_folder
from adapt.outputs import DataResult, Evaluation, ModelComparison, ModelResult
from adapt.recipe import Recipe, loading
from adapt.recipe.values import validate, validation_messages
from adapt.records import CrossEncoder, Encoder
from adapt.results import RunResult
from adapt.runtime import process_group
from adapt.stages import Stage

if TYPE_CHECKING:
    from adapt.checks import Measurement, Source

RecipeLike: TypeAlias = "Recipe | str | os.PathLike[str] | Mapping[str, object]"
LARGEST_SEED = 2**32 - 1


def load_recipe(recipe: RecipeLike, overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe: the name of one that ships, a path, or a dict of the same form as the YAML.

    overrides: `path.to.setting=value`, as with `adapt run --set`. Raises UserError with every problem at once.

    >>> adapt.load_recipe("smoke", ["stages.finetune.epochs=2"]).name
    'smoke'
    """
    if isinstance(recipe, Recipe):
        if overrides:
            raise UserError("overrides change a recipe before it is checked; give its name, path or dict, not a loaded Recipe")
        return recipe
    return loading.load(os.fspath(recipe) if isinstance(recipe, os.PathLike) else recipe, overrides)


def run(
    recipe: RecipeLike,
    out: str | os.PathLike[str] | None = None,
    *,
    overrides: Sequence[str] = (),
    until: str | None = None,
    fresh: Sequence[str] = (),
    listener: Listener | None = None,
) -> RunResult:
    """Run a recipe: every step, the checks on dev data, the gate, and base against final model on test data.

    recipe, overrides: see `load_recipe`. out: the run's folder, `runs/<name>` by default; finished steps in it are cached. until:
    the last step to run; test data is not used then. fresh: steps to compute again, with those that depend on them.

    Returns what `results.json` holds; the folder also has `model/`, `report.html` and `report.md`. Raises UserError for wrong
    input, WorkFailed where training diverges or a gate with `action: stop` fails.

    >>> result = adapt.run("smoke", out="runs/smoke")  # doctest: +SKIP
    >>> result.verdict.outcome, result.to_pandas()  # doctest: +SKIP
    """
    from adapt.pipeline.runner import run as run_recipe
    from adapt.report import write_report

    loaded = load_recipe(recipe, overrides)
    folder = Path("runs") / loaded.name if out is None else Path(out)
    try:
        result = run_recipe(loaded, folder, until=until, fresh=fresh, listener=listener or ignore_events)
    except WorkFailed:
        if (folder / "results.json").is_file():  # a run that a gate has stopped has a report, too
            write_report(folder)
        raise
    if process_group.current().is_main_process:
        write_report(folder)
    return result


def run_stage(
    name: str,
    *,
    out: str | os.PathLike[str] | None = None,
    seed: int = 13,
    listener: Listener | None = None,
    overwrite: bool = False,
    **inputs_and_settings: object,
) -> ModelResult | DataResult:
    """Run a single stage; `adapt.tsdae(...)` is short for `adapt.run_stage("tsdae", ...)`.

    inputs_and_settings: by the stage's own names, as `help(adapt.tsdae)` lists them; former names still work and warn. out: the
    model's folder, or the file for rows (.jsonl, .csv, .tsv, .parquet). Without it a model is written to a temporary folder, which
    is deleted when the process ends, and rows are returned only. overwrite: replace what exists at `out`. seed: the random seed.

    Raises UserError with every problem of settings and data, and WorkFailed where training diverges.

    >>> pairs = adapt.run_stage("pairs", texts=["First sentence. Second one.", "Another text. It goes on."])  # doctest: +SKIP
    """
    from adapt.pipeline import single_stage

    renamed = aliases.rename(_stage(name).name(), inputs_and_settings)
    if renamed.problems:
        raise UserError([f"{name}: {problem}" for _, problem in renamed.problems])
    for note in renamed.notes:
        aliases.warn(note)
    stage, data = _settings_and_inputs(_stage(renamed.stage), renamed.settings)
    if type(seed) is not int or not 0 <= seed <= LARGEST_SEED:
        raise UserError(f"seed must be a whole number of 0 to {LARGEST_SEED} (got {seed!r})")
    target = None if out is None else Path(out)
    if target is not None and not overwrite and (target.exists() or target.is_symlink()):
        raise UserError(f"{target}: already exists; choose another out, or replace it with overwrite=True")
    listener = listener or ignore_events
    with notes_on_data(listener) as noted:
        done = single_stage.run_stage(stage, data, target, seed, listener)
    made, notes = done.made, [*noted, *done.notes]
    if isinstance(made, (Encoder, CrossEncoder)):
        return ModelResult(
            stage=stage.name(), path=made.path, is_cross_encoder=isinstance(made, CrossEncoder), seconds=done.seconds,
            counts=done.counts, notes=notes, files=done.files,
        )  # fmt: skip
    return DataResult(
        stage=stage.name(), path=done.path, records=made, seconds=done.seconds, counts=done.counts, notes=notes, files=done.files
    )


def evaluate(
    model: Model,
    *,
    sts: Data | None = None,
    retrieval: Data | None = None,
    pairs: Data | None = None,
    triplets: Data | None = None,
    recipe: RecipeLike | None = None,
    split: str = "test",
    listener: Listener | None = None,
    **other_checks: Data | None,
) -> Evaluation:
    """A model's metrics on labelled data that it was not trained on.

    sts: (sentence1, sentence2, score 0 to 1). pairs: the same, a score of 0.5 or more is a match. triplets: (anchor, positive,
    negative). retrieval: a BEIR folder, or {"queries": {id: text}, "corpus": {id: text}, "relevant": {query id: {passage ids}}}
    as sentence-transformers' InformationRetrievalEvaluator takes them. other_checks: by the name of their kind: reranking,
    translation, classification, clustering, or one that another package adds. recipe: all checks of a recipe. split: dev or test,
    of a recipe or a BEIR folder. A CrossEncoder is evaluated on sts and pairs only.

    >>> adapt.evaluate("all-MiniLM-L6-v2", sts=[("a cat", "a kitten", 0.9), ("a cat", "a car", 0.1)])["sts.spearman"]
    1.0
    """
    given = {"sts": sts, "retrieval": retrieval, "pairs": pairs, "triplets": triplets, **other_checks}
    wanted = _wanted(given, recipe, split)
    (measured,), notes = _measure([model], wanted, split, listener)
    metrics = {name: dict(found.metrics) for name, found in measured.items()}
    main = {name: checks.find(kind).main_metric for name, (kind, _) in wanted.items()}
    return Evaluation(_shown(model), metrics, {name: found.rows for name, found in measured.items()}, main, notes)


def compare(
    a: Model,
    b: Model,
    kind: str | None = None,
    data: Data | None = None,
    seed: int = 0,
    *,
    sts: Data | None = None,
    retrieval: Data | None = None,
    pairs: Data | None = None,
    triplets: Data | None = None,
    recipe: RecipeLike | None = None,
    split: str = "test",
    listener: Listener | None = None,
    **other_checks: Data | None,
) -> ModelComparison:
    """Compare two models on the same items: paired differences b - a with 95 % bootstrap intervals and p of a randomisation test.

    Data as in `evaluate`. kind, data: one check by the name of its kind, as in `adapt.compare(a, b, "sts", "sts-test.csv")`. seed:
    of the bootstrap and the randomisation test.

    >>> adapt.compare("all-MiniLM-L6-v2", tuned, sts="sts-test.csv").to_pandas()  # doctest: +SKIP
    """
    from adapt.pipeline.comparison import compare_models

    given = {"sts": sts, "retrieval": retrieval, "pairs": pairs, "triplets": triplets, **other_checks}
    given |= {kind: data} if kind else {}
    wanted = _wanted(given, recipe, split)
    (before, after), notes = _measure([a, b], wanted, split, listener)
    rows = compare_models(before, after, {}, seed)
    main = {name: checks.find(of).main_metric for name, (of, _) in wanted.items()}
    return ModelComparison(_shown(a), _shown(b), rows, {name: found.rows for name, found in after.items()}, main, notes)


def _stage(name: str) -> type[Stage]:
    """The stage of that name, with `-` or `_`; raises UserError."""
    word = name.replace("_", "-")
    if word not in stages.names():
        raise UserError(f"no stage '{name}'.{did_you_mean(word, stages.names())}")
    return stages.find(word)


def _settings_and_inputs(
    stage_class: type[Stage], given: Mapping[str, object]
) -> tuple[Stage, dict[str, files.Source | list[files.Source]]]:
    """The stage with its settings, and its inputs as sources; raises UserError with every problem of either."""
    word, wants = stage_class.name(), {want.name: want for want in stage_class.inputs()}
    known = (*wants, *stage_class.model_fields)
    problems = [f"{word}: unknown setting '{key}'.{did_you_mean(key, known)}" for key in given if key not in known]
    for want in wants.values():
        if want.required and given.get(want.name) is None:
            problems.append(f"{word}: needs {want.name} ({' or '.join(want.kinds)})")
    data: dict[str, files.Source | list[files.Source]] = {}
    for name, value in given.items():
        if name in wants and value is not None:
            try:
                kinds = wants[name].kinds
                data[name] = _model(value) if kinds[0].endswith("encoder") else sources(value, name, kinds)
            except UserError as error:
                problems += [f"{word}: {name}: {problem}".replace(f"{name}: {name}:", f"{name}:") for problem in error.problems]
    stage: Stage | None = None
    try:
        stage = validate(stage_class, {key: value for key, value in given.items() if key in stage_class.model_fields})
    except ValidationError as error:
        problems += [
            f"{word}: {'.'.join(map(str, place)) or 'settings'}: {phrase}" for place, _, phrase in validation_messages(error)
        ]
    if problems or stage is None:
        raise UserError(problems)
    return stage, data


def _model(model: object) -> str:
    return model_name(model, temporary_folder() / "model")


def _shown(model: Model) -> str:
    """A model in a repr: as it was given, or its class."""
    return os.fspath(model) if isinstance(model, (str, os.PathLike)) else type(model).__name__


def _wanted(given: Mapping[str, Data | None], recipe: RecipeLike | None, split: str) -> dict[str, tuple[str, Source]]:
    """{check: (kind, its data)} of a recipe's checks and of data by kind; raises UserError with every problem."""
    wanted: dict[str, tuple[str, Source]] = {}
    problems = []
    if recipe is not None:
        for name, spec in load_recipe(recipe).checks.items():
            if (source := getattr(spec, split, None)) is not None:
                wanted[name] = spec.kind, source
    for key, data in given.items():
        kind = key if key in checks.names() else key.replace("_", "-")  # a keyword has no hyphen
        if kind not in checks.names():
            problems.append(f"no kind of check '{kind}'.{did_you_mean(kind, checks.names())}")
        elif data is not None:
            try:
                wanted[kind] = kind, check_source(kind, data, checks.find(kind).parts)
            except UserError as error:
                problems += error.problems
    if not wanted and not problems:
        problems.append(f"nothing to evaluate on: give recipe= or data for a kind of check: {', '.join(checks.names())}")
    if problems:
        raise UserError(problems)
    return wanted


def _measure(
    models: Sequence[Model], wanted: Mapping[str, tuple[str, Source]], split: str, listener: Listener | None
) -> tuple[list[dict[str, Measurement]], list[str]]:
    """The measurements of each model, and notes on models and data."""
    from adapt.pipeline.measurements import measure_each

    notes: list[str] = []

    def listen(event: Event) -> None:
        if event.kind == "note":
            notes.append(event.text)
        (listener or ignore_events)(event)

    with notes_on_data(listener or ignore_events) as noted:
        found = measure_each([_model(model) for model in models], wanted, split, listen)
    return found, [*noted, *notes]
