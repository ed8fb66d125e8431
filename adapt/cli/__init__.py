"""The front door: prints, never thinks. Every stage's command is read from the stage itself."""

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


COMPUTE = ("run", "ablate", "check", "compare", "hold-out", "init", "label")  # embed, search and the stages have int8, too
PRECISION = click.Option(
    ["--precision"],
    type=click.Choice(PRECISIONS),
    expose_value=False,
    callback=lambda context, option, value: set_default(value),
    help="of transformer layers, where a step does not set its own; auto: bf16 where the hardware has it, else fp32  "
    "[default: ADAPT_PRECISION, or auto]",
)


class Doors(click.Group):
    """The fixed commands and one for every stage."""

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


@click.group(cls=Doors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="adapt")
def cli() -> None:
    """Make any text-embedding model good at your domain.

    \b
    adapt run medical-recipe      the whole chain, on the corpus and model that ship
    adapt init mydomain --texts notes.jsonl --pairs pairs.jsonl
    """


for module in (recipes, data, evaluation, inference):
    for command in module.COMMANDS:
        cli.add_command(command)


def main() -> None:
    """Run the command line; what the user can mend exits with 2, failed work with 1, neither with a traceback."""
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    import warnings

    warnings.filterwarnings("ignore")
    aliases.show_as_notes()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that can't show a letter shows its number
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
