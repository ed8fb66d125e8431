"""Commands for recipes: run one, list those that ship, write one, report on a run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from adapt.cli.output import print_line
from adapt.cli.read_options import DataCommand, reads_data
from adapt.errors import WorkFailed
from adapt.runtime import interruption

if TYPE_CHECKING:
    from adapt.console import ProgressPrinter
    from adapt.recipe import Recipe
    from adapt.results import RunResult


@click.command("run")
@click.argument("recipe")
@click.option("--out", type=click.Path(path_type=Path), help="run folder  [default: runs/NAME]")
@click.option(
    "--set", "overrides", multiple=True, metavar="PATH=VALUE", help="change a setting: stages.finetune.epochs=2; repeatable"
)
@click.option("--until", metavar="STEP", help="stop after this step")
@click.option("--fresh", multiple=True, metavar="STEP", help="rerun this step and those that depend on it; repeatable")
@click.option("--dry-run", is_flag=True, help="only print the plan and the disk space that it needs")
@click.option(
    "--verify", is_flag=True, help="with --dry-run: check the contents of finished steps, as a run does, not only file sizes"
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="repeat the run with N seeds; report mean and standard deviation",
)
@click.option("--nproc", type=click.IntRange(1), default=1, show_default=True, help="processes for training, one for each GPU")
def run_command(
    recipe: str, out: Path | None, overrides: tuple[str, ...], until: str | None, fresh: tuple[str, ...], dry_run: bool,
    verify: bool, seeds: int, nproc: int,
) -> None:  # fmt: skip
    """Run a recipe, given by name or path: its stages, checks, gate and report.

    \b
    adapt run medical-recipe
    adapt run medical-recipe --dry-run --set stages.finetune.learning_rate=2e-5
    """
    from adapt.console import ProgressPrinter, clock
    from adapt.recipe import loading
    from adapt.runtime import process_group

    loaded = loading.load(recipe, overrides)
    folder = out or Path("runs") / loaded.name
    printer = ProgressPrinter()
    if dry_run:
        _dry_run(loaded, folder, until, fresh, verify, printer)
        return
    if nproc > 1 and not process_group.launched_by_torchrun():
        sys.exit(_in_processes(nproc))
    if not process_group.current().is_main_process:
        printer.quiet()
    from adapt.pipeline.runner import run, run_seeds
    from adapt.report import write_report

    try:
        if seeds > 1:
            result = run_seeds(loaded, folder, seeds, listener=printer)
        else:
            result = run(loaded, folder, until=until, fresh=fresh, listener=printer)
    except WorkFailed:
        if (folder / "results.json").is_file():  # a run that a gate stopped has a report, too
            write_report(folder)
        raise
    if not process_group.current().is_main_process:
        return
    report = write_report(folder)
    _print_result(result, printer)
    printer.line(f"took {clock(result.seconds)}; model: {folder / 'model'}; report: {report}")
    if result.test and result.verdict.outcome == "unmeasured":
        sys.exit(1)


def _print_result(result: RunResult, printer: ProgressPrinter) -> None:
    """Warnings, tables, verdict and speed of a run."""
    from adapt import console

    for warning in result.warnings:
        printer.line(f"note: {warning}")
    if result.sweep:
        printer.table("Sweep, decided on dev data:", console.sweep_table(result.sweep))
    printer.table("On dev data, after each step (change from the previous model, in points):", console.dev_table(result))
    if result.test:
        printer.table("On test data, base and final model:", console.test_table(result.test))
    if result.seeds:
        count = len(result.seeds[0].deltas)
        printer.table(f"Change on test data over {count} seeds:", console.seeds_table(result.seeds))
    printer.console.print()
    printer.line(f"{result.verdict.outcome}: {result.verdict.sentence}")
    if speed := result.speed:
        printer.line(
            f"speed of the final model: {speed.latency_ms_p50:.1f} ms per query (median), {speed.texts_per_second:.0f} texts/s"
        )


@click.command("ablate")
@click.argument("recipe")
@click.option("--out", type=click.Path(path_type=Path), help="run folder, whose finished steps are reused  [default: runs/NAME]")
@click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="change a setting: data.limit=500; repeatable")
@click.option("--only", multiple=True, metavar="STEP", help="leave only this step out; repeatable")
@click.option(
    "--split", type=click.Choice(["dev", "test"]), default="dev", show_default=True, help="data to measure the contributions on"
)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def ablate_command(
    recipe: str, out: Path | None, overrides: tuple[str, ...], only: tuple[str, ...], split: Literal["dev", "test"], as_json: bool
) -> None:  # fmt: skip
    """Ablation: leave out each step of a recipe in turn and measure its contribution.

    \b
    adapt ablate medical-recipe
    adapt ablate medical-recipe --only tsdae --only mine
    """
    from adapt import console
    from adapt.pipeline.runner import ablate
    from adapt.recipe import loading

    loaded = loading.load(recipe, overrides)
    printer = console.ProgressPrinter(stderr=as_json)
    found = ablate(loaded, out or Path("runs") / loaded.name, only, split, printer)
    if as_json:
        click.echo(json.dumps([row.model_dump(mode="json") for row in found.rows], indent=2))
        return
    title = f"Contribution of each step on {split} data: the whole recipe less the recipe without the step, in points"
    printer.table(title, console.ablation_table(found.rows))
    for sentence in found.skipped:
        printer.line(f"not left out: {sentence}")


def _dry_run(recipe: Recipe, out: Path, until: str | None, fresh: tuple[str, ...], verify: bool, printer: ProgressPrinter) -> None:
    from adapt import console
    from adapt.inference import embedding_cache
    from adapt.models import lookup
    from adapt.pipeline import run_folder
    from adapt.pipeline.input_report import preview
    from adapt.pipeline.plan import all_artifacts
    from adapt.recipe import combinations
    from adapt.storage.store import Store

    run_folder.refuse_foreign(out)
    notes = preview(recipe)
    if verify:
        notes += [
            f"{file}: is damaged; a run deletes it and computes its embeddings again"
            for file in embedding_cache.damaged_segments(out / "vectors")
        ]
    artifacts = all_artifacts(recipe, Store(out, full=verify), until, fresh)
    if recipe.sweep:
        printer.line(f"sweep: {combinations(recipe):,} combinations, of which the best on dev data is chosen")
    printer.console.print(console.plan_table(artifacts))
    for text in notes:
        printer.line(f"note: {text}")
    if any(not artifact.cached for artifact in artifacts):
        model = lookup.find_model(recipe.model, recipe.file.parent, download=False)
        printer.line(run_folder.require_room(recipe, model, artifacts, out))


def _in_processes(count: int) -> int:
    """Run this command in `count` processes under torchrun; its exit code."""
    given = list(sys.argv[1:])
    if "--nproc" in given:  # torchrun would take it for an option of its own
        del given[given.index("--nproc") : given.index("--nproc") + 2]
    given = [word for word in given if not word.startswith("--nproc=")]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    # In a session of its own: a terminal's Ctrl-C reaches this process alone, which passes it on once.
    started = subprocess.Popen([*launcher, "-m", "adapt", *given], start_new_session=True)
    while True:
        try:
            return started.wait(0.5)
        except subprocess.TimeoutExpired:
            if interruption.requested():
                interruption.extend_deadline()
                started.terminate()
                started.wait()
                interruption.raise_if_interrupted()


@click.command("recipes")
def recipes_command() -> None:
    """List the recipes that ship with the package.

    \b
    adapt recipes
    """
    from adapt.recipe.catalog import descriptions

    for name, description in descriptions().items():
        print_line(f"{name:<18} {description}")


@click.command("init", cls=DataCommand)
@click.argument("name")
@click.option("--texts", help="raw texts of the domain")
@click.option("--pairs", help="questions and the passages that answer them: anchor, positive")
@click.option("--gold", help="sentence pairs scored 0 to 1: sentence1, sentence2, score")
@click.option("--model", default="all-MiniLM-L6-v2", show_default=True, help="the base model")
def init_command(name: str, texts: str | None, pairs: str | None, gold: str | None, model: str) -> None:
    """Write NAME/recipe.yaml, a commented recipe for your own data, and set dev and test data aside.

    \b
    adapt init mydomain --texts notes.jsonl --pairs pairs.jsonl
    """
    from adapt.prepare.init import init

    for line in init(Path(name), texts=texts, pairs=pairs, gold=gold, model=model):
        print_line(line)


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
def report_command(run: Path) -> None:
    """Rebuild the report of a run (report.html, report.md) from its results.json.

    \b
    adapt report runs/medical-recipe
    """
    from adapt.report import write_report

    print_line(write_report(run))


@click.command("schema")
@click.argument("name", type=click.Choice(["results"]))
def schema_command(name: str) -> None:
    """Print the JSON Schema of results.json.

    \b
    adapt schema results
    """
    from adapt.results import RunResult

    click.echo(json.dumps(RunResult.json_schema(), indent=2))


COMMANDS = (run_command, ablate_command, recipes_command, reads_data(init_command), report_command, schema_command)
