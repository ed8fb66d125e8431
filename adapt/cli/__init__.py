"""The command line. The command of a stage is generated from the stage's inputs and settings."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import click

from adapt import __version__, aliases
from adapt import stages as registry
from adapt.cli import data, evaluation, failures, inference, recipes
from adapt.cli.stages import PluginCommand, stage_command
from adapt.runtime import interruption
from adapt.runtime.precision import PRECISIONS, set_default

QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


COMPUTE = ("run", "ablate", "check", "compare", "hold-out", "init", "label")  # embed and search also have int8
PRECISION = click.Option(
    ["--precision"],
    type=click.Choice(PRECISIONS),
    expose_value=False,
    callback=lambda context, option, value: set_default(value),
    help="precision of transformer layers, unless a step sets it; auto: bf16 where the hardware supports it, else fp32  "
    "[default: ADAPT_PRECISION, or auto]",
)


class Commands(click.Group):
    """The commands of this package, and one for every stage."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        others = [name for name in super().list_commands(ctx) if name != "run"]
        return ["run", *sorted({*registry.names()} - {"run", *others}, key=_order), *others]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in registry.built_in():
            return stage_command(name)
        command = super().get_command(ctx, name)
        if command is None and name in registry.names():
            return PluginCommand(name)
        if command is not None:
            command.short_help = (command.help or "").splitlines()[0]
            if name in COMPUTE and PRECISION not in command.params:
                command.params.append(PRECISION)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and self.get_command(ctx, args[0]) is None:
            from adapt.errors import did_you_mean

            raise click.UsageError(f"no command '{args[0]}'.{did_you_mean(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


def _order(word: str) -> tuple[int, str]:
    chain = (
        "tsdae",
        "mlm",
        "simcse",
        "embedding-denoising",
        "pairs",
        "cross-encoder",
        "silver",
        "mine",
        "finetune",
        "blend",
        "align",
    )
    return (chain.index(word) if word in chain else len(chain), word)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="adapt")
def cli() -> None:
    """Adapt text-embedding models to your domain.

    A recipe is a YAML file with data, stages and checks. A run evaluates the model on dev data after each stage. A gate
    blends, reverts or stops where a stage makes a metric worse. The report compares the base with the final model on test data.

    \b
    adapt run medical-recipe                                       run a recipe that ships with the package
    adapt init mydomain --texts notes.jsonl --pairs pairs.jsonl    write a recipe for your own data
    """


for module in (recipes, data, evaluation, inference):
    for command in module.COMMANDS:
        cli.add_command(command)


def main() -> None:
    """Run the command line. Exit codes: 2 for wrong input, 1 for failed work."""
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    import warnings

    warnings.filterwarnings("ignore")
    aliases.show_as_notes()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # characters that the terminal's encoding lacks are escaped
    with interruption.handle_signals():
        try:
            cli()
        except interruption.Interrupted as stopped:
            interruption.exit_process(stopped)
        except Exception as error:
            code = failures.exit_code(error)
            if code is None:
                raise
            sys.exit(code)
