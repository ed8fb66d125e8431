"""Commands that make evaluation and training data where there are no labels: hold-out, label."""

from __future__ import annotations

from pathlib import Path

import click

from adapt.cli.output import SEED, print_line, progress_printer
from adapt.cli.read_options import DataCommand, reads_data
from adapt.errors import UserError


@click.command("hold-out", cls=DataCommand)
@click.option("--texts", required=True, help="raw texts of the domain")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="folder for the check and the remaining texts")
@click.option(
    "--queries", default=300, show_default=True, type=click.IntRange(1), help="number of dev queries, and of test queries"
)
@click.option(
    "--form",
    "forms",
    multiple=True,
    type=click.Choice(["title-body", "sentence-rest", "keyphrase-passage"]),
    help="only queries of this form; repeatable",
)
@click.option("--seed", type=SEED, default=13, show_default=True, help="random seed")
def hold_out_command(texts: str, out: Path, queries: int, forms: tuple[str, ...], seed: int) -> None:
    """Make a synthetic retrieval check from texts without labels; the remaining texts are for training.

    \b
    adapt hold-out --texts passages.jsonl --out held-out
    """
    from adapt.prepare.synthetic import FORMS, hold_out_file

    chosen = tuple(form for form in FORMS if not forms or form in forms)
    for line in hold_out_file(texts, out, queries=queries, forms=chosen, seed=seed):
        print_line(line)


@click.command("label", cls=DataCommand)
@click.option("--texts", help="raw texts to select pairs from")
@click.option("--read", "sheet", type=click.Path(path_type=Path), help="a scored sheet, complete or partial")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="the sheet (.csv); with --read, the scored pairs")
@click.option("--model", default="all-MiniLM-L6-v2", show_default=True, help="embedding model that selects the pairs")
@click.option("--gold", multiple=True, help="existing scored pairs, which are not selected again; repeatable")
@click.option("--recipe", help="exclude the texts of this recipe's dev and test data")
@click.option("--pairs", default=100, show_default=True, type=click.IntRange(1), help="number of pairs in the sheet")
@click.option(
    "--scale",
    type=click.Choice(["auto", "0-1", "0-5", "yes-no"]),
    default="auto",
    show_default=True,
    help="scale of the scores in the sheet",
)
@click.option("--seed", type=SEED, default=13, show_default=True, help="random seed")
def label_command(
    texts: str | None, sheet: Path | None, out: Path, model: str, gold: tuple[str, ...], recipe: str | None, pairs: int,
    scale: str, seed: int,
) -> None:  # fmt: skip
    """Select pairs for a person to score, in a CSV sheet; convert a scored sheet to gold data.

    \b
    adapt label --texts passages.jsonl --out sheet.csv
    adapt label --read sheet.csv --out gold.csv
    """
    from adapt.prepare.labelling import gold_file, sheet_file

    if (texts is None) == (sheet is None):
        raise UserError(
            "give either --texts FILE, to write a sheet (--out sheet.csv), or --read sheet.csv, to read one (--out gold.csv)"
        )
    if texts is not None:
        lines = sheet_file(texts, out, model=model, gold=gold, recipe=recipe, pairs=pairs, seed=seed, listener=progress_printer())
    else:
        assert sheet is not None
        lines = gold_file(sheet, out, scale)  # type: ignore[arg-type]
    for line in lines:
        print_line(line)


COMMANDS = tuple(map(reads_data, (hold_out_command, label_command)))
