"""Commands that evaluate models: check, compare."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from adapt import checks
from adapt.cli.output import print_line, progress_printer
from adapt.cli.read_options import DataCommand, reads_data
from adapt.errors import UserError

DATA_HELP = {
    "classification": "texts with labels: text, topic",
    "clustering": "texts with labels: text, topic",
    "pairs": "sentence pairs that match or not: sentence1, sentence2, score (1 or 0)",
    "reranking": "queries with candidates: query, positive, negative (lists)",
    "retrieval": "a BEIR folder: corpus.jsonl, queries.jsonl, qrels/",
    "sts": "scored sentence pairs: sentence1, sentence2, score",
    "translation": "parallel sentences: source, target",
    "triplets": "triplets: anchor, positive, negative",
}


def _data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for the data of every kind of check."""
    for kind in reversed(checks.names()):
        command = click.option(f"--{kind}", help=DATA_HELP.get(kind, f"data for the check '{kind}'"))(command)
    command = click.option("--recipe", help="evaluate on the checks of this recipe")(command)
    command = click.option("--split", default="test", show_default=True, help="dev or test, of a recipe or BEIR folder")(command)
    return click.option("--json", "as_json", is_flag=True, help="print JSON")(command)


def _checks(recipe: str | None, split: str, sources: dict[str, str | None], golden: bool = False) -> dict[str, tuple[str, Any]]:
    """{name: (kind, source)} of the checks that the options name; `golden`: only a recipe's golden checks, where it has any."""
    found: dict[str, tuple[str, Any]] = {}
    if recipe:
        from adapt.recipe import loading

        known = loading.load(recipe).checks
        chosen = {name: spec for name, spec in known.items() if spec.role == "golden"} if golden else {}
        for name, spec in (chosen or known).items():
            if (source := getattr(spec, split, None)) is not None:
                found[name] = (spec.kind, source)
    found.update({kind: (kind, source) for kind in checks.names() if (source := sources.get(kind.replace("-", "_")))})
    if not found:
        raise UserError(f"nothing to evaluate on: give --recipe or {', '.join(f'--{kind}' for kind in checks.names())}")
    return found


@click.command("check", cls=DataCommand)
@click.option("--model", required=True, help="folder or name of the model")
@click.option("--mteb", type=click.Path(path_type=Path), help="also write results in MTEB's format to this folder")
@click.option(
    "--task", "tasks", multiple=True, metavar="CHECK=NAME", help="with --mteb: task name of a check, sts=STSBenchmark; repeatable"
)
@_data_options
def check_command(
    model: str, mteb: Path | None, tasks: tuple[str, ...], recipe: str | None, split: str, as_json: bool, **sources: str | None
) -> None:  # fmt: skip
    """Evaluate a model on labelled data: STS, retrieval, classification, clustering and others.

    \b
    adapt check --model all-MiniLM-L6-v2 --sts sts-test.csv --retrieval test
    adapt check --model runs/medical-recipe/model --recipe medical-recipe --split dev
    adapt check --model all-MiniLM-L6-v2 --sts sts-test.csv --mteb results --task sts=STSBenchmark
    """
    from adapt import console
    from adapt.pipeline.measurements import measure_all

    if wrong := [task for task in tasks if "=" not in task]:
        raise UserError(f"--task {wrong[0]}: write CHECK=NAME, for example sts=STSBenchmark")
    if tasks and mteb is None:
        raise UserError("--task needs --mteb FOLDER: it names the tasks in MTEB's result files")
    wanted = _checks(recipe, split, sources)
    found = measure_all(model, wanted, split, progress_printer())
    if mteb is not None:
        from adapt.pipeline.mteb import write

        task_names = {check: name for check, _, name in (task.partition("=") for task in tasks)}
        for file in write(mteb, model, wanted, found, split, task_names):
            print_line(f"wrote {file}", err=as_json)
    if as_json:
        click.echo(json.dumps({name: {"rows": m.rows, **_nan_as_none(m.metrics)} for name, m in found.items()}, indent=2))
    else:
        for name, measured in found.items():
            shown = "  ".join(f"{metric} {console.defined(value)}" for metric, value in measured.metrics.items())
            print_line(f"{name:<20} {measured.rows:>6,} rows  {shown}")
    mains = {name: checks.find(kind).main_metric for name, (kind, _) in wanted.items()}
    unknown = [f"{name}.{mains[name]}" for name, m in found.items() if m.metrics[mains[name]] != m.metrics[mains[name]]]
    for name in unknown:
        print_line(f"unmeasured: {name} is undefined: a correlation needs gold scores and model scores that vary", err=True)
    if unknown:
        sys.exit(1)


@click.command("compare", cls=DataCommand)
@click.option("--model", "pair", multiple=True, required=True, help="the two models: --model BASELINE --model CANDIDATE")
@click.option(
    "--promote",
    is_flag=True,
    help="decide on the golden checks whether the candidate may replace the baseline; exit code 1 if not",
)
@_data_options
def compare_command(
    pair: tuple[str, ...], promote: bool, recipe: str | None, split: str, as_json: bool, **sources: str | None
) -> None:  # fmt: skip
    """Compare two models on the same data: differences, 95 % confidence intervals, verdicts.

    \b
    adapt compare --model all-MiniLM-L6-v2 --model tuned --sts sts-test.csv
    adapt compare --model all-MiniLM-L6-v2 --model runs/medical-recipe/model --recipe medical-recipe
    adapt compare --model in-service --model candidate --recipe mydomain --promote
    """
    from adapt import console
    from adapt.pipeline.comparison import compare_models
    from adapt.pipeline.measurements import measure_each
    from adapt.pipeline.verdict import promotion, undefined

    if len(pair) != 2:
        raise UserError(f"compare takes two models: --model BASELINE --model CANDIDATE (got {len(pair)})")
    wanted = _checks(recipe, split, sources, golden=promote)
    before, after = measure_each(pair, wanted, split, progress_printer())
    found = compare_models(before, after, {})
    decision = promotion(found, {name: checks.find(kind).main_metric for name, (kind, _) in wanted.items()})
    if as_json:
        rows = [row.model_dump(mode="json", exclude={"p_corrected"}) for row in found]
        click.echo(json.dumps({"rows": rows, **decision.model_dump()} if promote else rows, indent=2))
    else:
        console.ProgressPrinter().console.print(console.test_table(found))
        if promote:
            print_line(decision.sentence)
    unknown = any(row.outcome == "unmeasured" for row in found)
    if unknown and not promote:
        print_line("unmeasured: " + "; ".join(undefined(row) for row in found if row.outcome == "unmeasured"), err=True)
    if unknown or (promote and not decision.promote):
        sys.exit(1)


def _nan_as_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with NaN as None: JSON has no NaN."""
    return {name: None if isinstance(value, float) and value != value else value for name, value in values.items()}


COMMANDS = tuple(map(reads_data, (check_command, compare_command)))
