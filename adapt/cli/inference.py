"""Commands that use a model: embed, search."""

from __future__ import annotations

from pathlib import Path

import click

from adapt.cli.output import OVERWRITE, print_line, progress_printer, refuse_existing
from adapt.cli.read_options import DataCommand, reads_data
from adapt.runtime.precision import PRECISIONS, InferencePrecision, set_default

PRECISION = click.option(
    "--precision",
    type=click.Choice([*PRECISIONS, "int8"]),
    help="auto: ADAPT_PRECISION, else bf16 where the hardware supports it, else fp32; int8: 2-3x faster on a CPU, "
    "used only where its embeddings agree with fp32 (needs the extra int8)",
)


@click.command("embed", cls=DataCommand)
@click.option("--model", required=True, help="folder or name of the model")
@click.option("--texts", required=True, help="texts to embed")
@click.option("--out", required=True, type=click.Path(path_type=Path), help=".npy (vectors only) or .parquet (id, text, vector)")
@PRECISION
def embed_command(model: str, texts: str, out: Path, precision: InferencePrecision | None, overwrite: bool) -> None:
    """Embed texts as unit vectors and write them to a file.

    \b
    adapt embed --model all-MiniLM-L6-v2 --texts passages.jsonl --out vectors.npy
    """
    from adapt.pipeline.inference import embed_file

    refuse_existing(out, overwrite)
    set_default(precision)
    count, width = embed_file(model, texts, out, progress_printer(), precision or "auto")
    print_line(f"{out}: {count:,} vectors of {width} dimensions")


@click.command("search", cls=DataCommand)
@click.option("--model", required=True, help="folder or name of the model")
@click.option("--corpus", required=True, help="texts to search")
@click.option("--top", default=5, show_default=True, type=click.IntRange(1), help="number of results")
@PRECISION
@click.argument("query")
def search_command(model: str, corpus: str, top: int, precision: InferencePrecision, query: str) -> None:
    """Search a corpus for the texts most similar to a query.

    \b
    adapt search --model all-MiniLM-L6-v2 --corpus passages.jsonl "can I drink wine with this antibiotic"
    """
    from adapt.pipeline.inference import search_file

    set_default(precision)
    for score, text in search_file(model, corpus, query, top, progress_printer(), precision or "auto"):
        print_line(f"{score:.3f}  {text.id}  {text.text[:160]}")


embed_command.params.append(OVERWRITE)
COMMANDS = tuple(map(reads_data, (embed_command, search_command)))
