"""Commands that make data to measure on, or to learn from, where there are no labels."""

from __future__ import annotations

from pathlib import Path

import click

from adapt.cli.output import SEED, say, voice
from adapt.cli.read_options import reads_data
from adapt.errors import UserError


@click.command("hold-out")
@click.option("--texts", required=True, help="raw texts of the domain")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="folder for the check and for the texts that remain")
@click.option("--queries", default=300, show_default=True, type=click.IntRange(1), help="for dev, and as many for test")
@click.option(
    "--form",
    "forms",
    multiple=True,
    type=click.Choice(["title-body", "sentence-rest", "keyphrase-passage"]),
    help="only queries of this form",
)
@click.option("--seed", type=SEED, default=13, show_default=True, help="for every random choice")
def hold_out_command(texts: str, out: Path, queries: int, forms: tuple[str, ...], seed: int) -> None:
    """Set a synthetic retrieval check aside from raw texts, where there are no labels; what remains may be trained on.

    \b
    adapt hold-out --texts passages.jsonl --out held-out
    """
    from adapt.prepare.synthetic import FORMS, hold_out_file

    chosen = tuple(form for form in FORMS if not forms or form in forms)
    for line in hold_out_file(texts, out, queries=queries, forms=chosen, seed=seed):
        say(line)


@click.command("label")
@click.option("--texts", help="raw texts to choose pairs from")
@click.option("--read", "sheet", type=click.Path(path_type=Path), help="a sheet that a person has filled, wholly or in part")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="the sheet (.csv); with --read, the scored pairs")
@click.option("--model", default="all-MiniLM-L6-v2", show_default=True, help="judges which pairs are worth a look")
@click.option("--gold", multiple=True, help="scored pairs that are there already; may be given again")
@click.option("--recipe", help="leave out what the checks of this recipe measure on")
@click.option("--pairs", default=100, show_default=True, type=click.IntRange(1), help="rows of the sheet")
@click.option(
    "--scale",
    type=click.Choice(["auto", "0-1", "0-5", "yes-no"]),
    default="auto",
    show_default=True,
    help="of the scores that are read",
)
@click.option("--seed", type=SEED, default=13, show_default=True, help="for every random choice")
def label_command(
    texts: str | None, sheet: Path | None, out: Path, model: str, gold: tuple[str, ...], recipe: str | None, pairs: int,
    scale: str, seed: int,
) -> None:  # fmt: skip
    """Write a sheet of well-chosen pairs for a person to score, or read it back as gold.

    \b
    adapt label --texts passages.jsonl --out sheet.csv
    adapt label --read sheet.csv --out gold.csv
    """
    from adapt.prepare.labelling import gold_file, sheet_file

    if (texts is None) == (sheet is None):
        raise UserError("label writes a sheet (--texts FILE --out sheet.csv) or reads one back (--read sheet.csv --out gold.csv)")
    if texts is not None:
        lines = sheet_file(texts, out, model=model, gold=gold, recipe=recipe, pairs=pairs, seed=seed, listener=voice())
    else:
        assert sheet is not None
        lines = gold_file(sheet, out, scale)  # type: ignore[arg-type]
    for line in lines:
        say(line)


COMMANDS = tuple(map(reads_data, (hold_out_command, label_command)))
