"""The front door: prints, never thinks. Every stage's command is read from the stage itself."""

from __future__ import annotations

import inspect
import json
import os
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import click
from pydantic import ValidationError

from adapt import __version__, checks, stages, yaml_lines
from adapt.errors import UserError, WorkFailed

QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


DATA_OF = {
    "classification": "texts with a topic each",
    "clustering": "texts with a topic each",
    "pairs": "sentence1, sentence2, score: matching or not",
    "reranking": "query, positive, negative (lists)",
    "retrieval": "a BEIR folder",
    "sts": "sentence1, sentence2, score",
    "translation": "parallel sentences: source, target",
    "triplets": "anchor, positive, negative",
}


class Doors(click.Group):
    """The fixed commands and one for every stage."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*("run",), *sorted(stages.names(), key=_order), *(n for n in super().list_commands(ctx) if n != "run")]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in stages.names():
            return stage_command(name)
        command = super().get_command(ctx, name)
        if command is not None:
            command.short_help = (command.help or "").splitlines()[0]
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and self.get_command(ctx, args[0]) is None:
            from adapt.errors import did_you_mean

            raise click.UsageError(f"no command '{args[0]}'.{did_you_mean(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


def _order(word: str) -> tuple[int, str]:
    chain = ("tsdae", "pairs", "cross-encoder", "silver", "mine", "finetune", "blend", "align")
    return (chain.index(word) if word in chain else len(chain), word)


@click.group(cls=Doors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="adapt")
def cli() -> None:
    """Make any text-embedding model good at your domain.

    \b
    adapt run medical-recipe      the whole chain, on the corpus and model that ship
    adapt init mydomain --texts notes.jsonl --pairs pairs.jsonl
    """


def main() -> None:
    """Run the command line; user errors exit with 2, failed work with 1, neither with a traceback."""
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    import warnings

    warnings.filterwarnings("ignore")
    try:
        cli()
    except UserError as error:
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
        sys.exit(2)
    except WorkFailed as error:
        click.echo(f"failed: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


# ---------------------------------------------------------------------------------------------- the whole recipe


@cli.command("run")
@click.argument("recipe")
@click.option("--out", type=click.Path(path_type=Path), help="run folder; runs/<name> where not given")
@click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="change a setting: stages.finetune.epochs=2")
@click.option("--until", metavar="STEP", help="stop after this step")
@click.option("--fresh", multiple=True, metavar="STEP", help="do this step again, and what depends on it")
@click.option("--dry-run", is_flag=True, help="print the plan and do nothing")
@click.option(
    "--seeds", type=click.IntRange(1), default=1, show_default=True, help="carry it out with so many seeds, and tell the spread"
)
@click.option(
    "--nproc", type=click.IntRange(1), default=1, show_default=True, help="processes that train one model, one for each GPU"
)
def run_command(
    recipe: str, out: Path | None, overrides: tuple[str, ...], until: str | None, fresh: tuple[str, ...], dry_run: bool, seeds: int,
    nproc: int,
) -> None:  # fmt: skip
    """Carry out a recipe: the name of one that ships, or a path.

    \b
    adapt run medical-recipe
    adapt run medical-recipe --dry-run --set stages.finetune.learning_rate=2e-5
    """
    from adapt import console, crew, reading

    loaded = reading.load(recipe, overrides)
    folder = out or Path("runs") / loaded.name
    voice = console.Voice()
    if dry_run:
        from adapt.plan import all_lines
        from adapt.store import Store

        voice.out.print(console.plan_table(all_lines(loaded, Store(folder), until, fresh)))
        return
    if nproc > 1 and not crew.started():
        sys.exit(_in_processes(nproc))
    if not crew.of_this_process().leads:
        voice.mute()
    from adapt.report import write_report
    from adapt.runner import run, run_seeds

    if seeds > 1:
        results, spread = run_seeds(loaded, folder, seeds, tell=voice)
    else:
        results, spread = run(loaded, folder, until=until, fresh=fresh, tell=voice), []
    if not crew.of_this_process().leads:
        return
    report = write_report(folder)
    if results["sweep"]:
        voice.out.print("\nSweep, decided on dev data:")
        voice.out.print(console.sweep_table(results["sweep"]))
    voice.out.print("\nOn dev data, after each step (change against the model before, in points):")
    voice.out.print(console.dev_table(results))
    if results["test"]:
        voice.out.print("\nOn test data, base against final:")
        voice.out.print(console.test_table(results["test"]))
    if spread:
        voice.out.print(f"\nChange on test data over {seeds} seeds:")
        voice.out.print(console.spread_table(spread))
    voice.out.print(f"\n{results['verdict']['word']}: {results['verdict']['sentence']}")
    speed = results["speed"]
    voice.out.print(
        f"speed of the final model: {speed['latency_ms_p50']:.1f} ms a query (median), {speed['texts_per_second']:.0f} texts/s"
    )
    voice.out.print(f"took {console.clock(results['seconds'])}; model: {folder / 'model'}; report: {report}")


def _in_processes(count: int) -> int:
    """This very command again, in `count` processes under torchrun; its exit code."""
    import subprocess

    given = list(sys.argv[1:])
    if "--nproc" in given:  # torchrun would take it for an option of its own
        del given[given.index("--nproc") : given.index("--nproc") + 2]
    given = [word for word in given if not word.startswith("--nproc=")]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    return subprocess.run([*launcher, "-m", "adapt", *given]).returncode


@cli.command("recipes")
def recipes_command() -> None:
    """List the recipes that ship.

    \b
    adapt recipes
    """
    from adapt import recipe, yaml_lines

    for name, file in recipe.shipped().items():
        click.echo(f"{name:<18} {yaml_lines.load(file)[0].get('description', '')}")


@cli.command("init")
@click.argument("name")
@click.option("--texts", help="raw texts of the domain")
@click.option("--pairs", help="questions and the passages that answer them: anchor, positive")
@click.option("--gold", help="sentence pairs scored 0 to 1: sentence1, sentence2, score")
@click.option("--model", default="all-MiniLM-L6-v2", show_default=True, help="the base model")
def init_command(name: str, texts: str | None, pairs: str | None, gold: str | None, model: str) -> None:
    """Write NAME/recipe.yaml, a commented recipe for your own files, with dev and test data set aside.

    \b
    adapt init mydomain --texts notes.jsonl --pairs pairs.jsonl
    """
    from adapt.init import init

    for line in init(Path(name), texts=texts, pairs=pairs, gold=gold, model=model):
        click.echo(line)


@cli.command("report")
@click.argument("run", type=click.Path(path_type=Path))
def report_command(run: Path) -> None:
    """Write RUN/report.html again, from RUN/results.json.

    \b
    adapt report runs/medical-recipe
    """
    from adapt.report import write_report

    click.echo(write_report(run))


# ---------------------------------------------------------------------------------------------- measuring


def _data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for the data of every kind of check."""
    for kind in reversed(checks.names()):
        command = click.option(f"--{kind}", help=DATA_OF.get(kind, f"data for the check '{kind}'"))(command)
    command = click.option("--recipe", help="all checks of a recipe")(command)
    command = click.option("--split", default="test", show_default=True, help="dev or test, of a recipe or a BEIR folder")(command)
    return click.option("--json", "as_json", is_flag=True, help="print JSON")(command)


def _checks(recipe: str | None, split: str, **sources: str | None) -> dict[str, tuple[str, Any]]:
    """{name: (kind, source)} of what the options name."""
    found: dict[str, tuple[str, Any]] = {}
    if recipe:
        from adapt import reading

        for name, spec in reading.load(recipe).checks.items():
            if (source := getattr(spec, split, None)) is not None:
                found[name] = (spec.kind, source)
    found.update({kind: (kind, source) for kind, source in sources.items() if source})
    if not found:
        raise UserError(f"nothing to measure on: give --recipe or {', '.join(f'--{kind}' for kind in checks.names())}")
    return found


@cli.command("check")
@click.option("--model", required=True, help="a model's folder or name")
@_data_options
def check_command(model: str, recipe: str | None, split: str, as_json: bool, **sources: str | None) -> None:
    """Measure a model.

    \b
    adapt check --model all-MiniLM-L6-v2 --sts sts-test.csv --retrieval test
    adapt check --model runs/medical-recipe/model --recipe medical-recipe --split dev
    """
    from adapt.measure import measure_all

    found = measure_all(model, _checks(recipe, split, **sources), split, _voice())
    if as_json:
        click.echo(json.dumps({name: {"rows": m.rows, **m.metrics} for name, m in found.items()}, indent=2))
        return
    for name, measured in found.items():
        shown = "  ".join(f"{metric} {value:.4f}" for metric, value in measured.metrics.items())
        click.echo(f"{name:<20} {measured.rows:>6,} rows  {shown}")


@cli.command("compare")
@click.option("--model", "pair", multiple=True, required=True, help="give twice: the model before, the model after")
@_data_options
def compare_command(pair: tuple[str, ...], recipe: str | None, split: str, as_json: bool, **sources: str | None) -> None:
    """Compare two models item by item: differences, 95 % intervals, verdicts.

    \b
    adapt compare --model all-MiniLM-L6-v2 --model tuned --sts sts-test.csv
    adapt compare --model all-MiniLM-L6-v2 --model runs/medical-recipe/model --recipe medical-recipe
    """
    from adapt import console
    from adapt.measure import measure_all
    from adapt.results import compared

    if len(pair) != 2:
        raise UserError(f"compare takes two models: --model before --model after (got {len(pair)})")
    wanted = _checks(recipe, split, **sources)
    before, after = (measure_all(name, wanted, split, _voice()) for name in pair)
    found = compared(before, after, {})
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        console.Voice().out.print(console.test_table(found))


def _voice() -> Any:
    """Progress on stderr, so that stdout holds results alone."""
    from adapt.console import Voice

    return Voice(stderr=True)


# ---------------------------------------------------------------------------------------------- using the result


@cli.command("embed")
@click.option("--model", required=True, help="a model's folder or name")
@click.option("--texts", required=True, help="texts to encode")
@click.option("--out", required=True, type=click.Path(path_type=Path), help=".npy (vectors alone) or .parquet (id, text, vector)")
def embed_command(model: str, texts: str, out: Path) -> None:
    """Encode texts into unit vectors.

    \b
    adapt embed --model all-MiniLM-L6-v2 --texts passages.jsonl --out vectors.npy
    """
    from adapt.embed import embed_file

    count, width = embed_file(model, texts, out, _voice())
    click.echo(f"{out}: {count:,} vectors of {width}")


@cli.command("search")
@click.option("--model", required=True, help="a model's folder or name")
@click.option("--corpus", required=True, help="texts to search")
@click.option("--top", default=5, show_default=True, type=click.IntRange(1), help="how many to show")
@click.argument("query")
def search_command(model: str, corpus: str, top: int, query: str) -> None:
    """Search a corpus with a query.

    \b
    adapt search --model all-MiniLM-L6-v2 --corpus passages.jsonl "can I drink wine with this antibiotic"
    """
    from adapt.embed import search_file

    for score, text in search_file(model, corpus, query, top, _voice()):
        click.echo(f"{score:.3f}  {text.id}  {text.text[:160]}")


# ---------------------------------------------------------------------------------------------- one stage by hand


def stage_command(word: str) -> click.Command:
    """The command of a stage: an option for each input and setting, as the stage declares them."""
    stage = stages.find(word)
    made = stage.makes()
    what = "folder of the model" if made.endswith("encoder") else "file for the result (.jsonl, .csv, .parquet ...)"
    options: list[click.Parameter] = []
    for want in stage.inputs():
        kinds = " or ".join(want.kinds)
        data = not want.kinds[0].endswith("encoder")
        what_it_is = f"{kinds}: a file or folder; may be given again" if data else f"{kinds}: a folder or name"
        options.append(click.Option([_flag(want.name)], required=want.required, multiple=data, help=what_it_is))
    options.append(click.Option(["--out"], required=True, type=click.Path(path_type=Path), help=what))
    for name, info in stage.model_fields.items():
        shown = "" if info.default in (None, ()) else f"  [default: {_plain(info.default)}]"
        kind, multiple = _click_type(info.annotation)
        options.append(click.Option([_flag(name)], type=kind, multiple=multiple, help=f"{info.description}{shown}"))
    options.append(click.Option(["--seed"], type=int, default=13, show_default=True, help="for every random choice"))
    options.append(click.Option(["--force"], is_flag=True, help="replace what stands at --out"))

    def go(out: Path, seed: int, force: bool, **given: Any) -> None:
        _one_stage(stage, out, seed, force, given)

    first, _, more = inspect.cleandoc(stage.__doc__ or "").partition("\n")
    doc = f"{first}\n{more}\n\n\b\n{stage.example}"
    return click.Command(word, callback=go, params=options, help=doc, short_help=stage.help())


def _one_stage(stage_class: type[stages.Stage], out: Path, seed: int, force: bool, given: dict[str, Any]) -> None:
    from adapt.hand import run_stage

    names = {want.name for want in stage_class.inputs()}
    settings = {k: yaml_lines.scalar(v) if v == "null" else v for k, v in given.items() if k not in names and v not in (None, ())}
    try:
        stage = stage_class.model_validate(settings)
    except ValidationError as error:
        raise UserError([f"{_flag(str(p['loc'][0]))}: {p['msg']} (got {p['input']!r})" for p in error.errors()]) from None
    sources = {k: v for k, v in given.items() if k in names and v not in (None, ())}
    if out.exists() and not force:
        raise UserError(f"{out}: is there already; give another --out, or --force to replace it")
    counts = run_stage(stage, sources, out, seed, _voice())
    click.echo(f"{out}: " + "  ".join(f"{k} {_plain(v)}" for k, v in counts.items()))


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def _click_type(annotation: Any) -> tuple[Any, bool]:
    """(click's type, whether it may be given several times) for a field's annotation; pydantic checks the bounds."""
    args = [a for a in typing.get_args(annotation) if a is not type(None)]
    if typing.get_origin(annotation) is Literal:
        return click.Choice([str(a) for a in args]), False
    if typing.get_origin(annotation) is tuple:
        return _click_type(args[0])[0], True
    if type(None) in typing.get_args(annotation):
        return str, False  # a value, or null
    if typing.get_origin(annotation) is typing.Annotated:
        return _click_type(args[0])
    return {bool: bool, int: int, float: float}.get(annotation, str), False
