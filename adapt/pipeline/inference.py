"""Use a model: encode a file of texts, search a corpus."""

from __future__ import annotations

from pathlib import Path

from adapt import files
from adapt.errors import UserError
from adapt.files.paths import require_distinct_output
from adapt.inference import cache_folder
from adapt.job import Event, Job, Listener
from adapt.models import int8, lookup, model_folder
from adapt.models.coverage import coverage_warnings
from adapt.records import Text
from adapt.runtime.precision import InferencePrecision
from adapt.storage import arrays
from adapt.storage.atomic import atomic_file, require_writable
from adapt.storage.disk_errors import require_space


def embed_file(model: str, texts: str, out: Path, listener: Listener, precision: InferencePrecision = "auto") -> tuple[int, int]:
    """Write the vectors of a file's texts to .npy or .parquet, row by row as read; returns their shape.

    Of unit length, but for a model whose own similarity is the dot product.
    """
    from adapt.inference.encoding import embed

    if out.suffix not in (".npy", ".parquet"):
        raise UserError(f"{out}: vectors are written as .npy or .parquet")
    require_distinct_output(out, (model, texts))
    _able(precision)
    require_writable(out)
    found: list[Text] = files.read(texts, "texts")
    folder = lookup.find_model(model)
    lookup.verify_weights(folder)
    for text in coverage_warnings(Path(texts).name, folder, [t.text for t in found]):
        listener(Event("note", text))
    require_space(out, 4 * lookup.embedding_dimension(folder) * len(found), f"{len(found):,} vectors")
    job = Job(listener=listener)
    vectors = embed(folder, [t.text for t in found], job, "document", precision=precision, normalize=_unit(folder, job))
    with atomic_file(out) as aside:
        if out.suffix == ".npy":
            with open(aside, "wb") as file:
                arrays.write(file, vectors)
        else:
            import pyarrow as arrow
            import pyarrow.parquet as parquet

            columns = {"id": [t.id for t in found], "text": [t.text for t in found], "vector": list(vectors)}
            parquet.write_table(arrow.table(columns), aside)
    return vectors.shape[0], vectors.shape[1]


def search_file(
    model: str, corpus: str, query: str, top: int, listener: Listener, precision: InferencePrecision = "auto"
) -> list[tuple[float, Text]]:
    """(similarity, text) of the nearest texts of a file, best first; vectors are kept for the next query (see `cache_folder`)."""
    from adapt.inference.encoding import embed
    from adapt.retrieval import dense

    if not query.strip():
        raise UserError('the query is empty; give a text to search for: adapt search --model MODEL --corpus FILE "a question"')
    _able(precision)
    found: list[Text] = files.read(corpus, "texts")
    folder = lookup.find_model(model)
    lookup.verify_weights(folder)
    job, before = Job(listener=listener, embedding_cache=cache_folder.embeddings_folder()), cache_folder.size()
    unit = _unit(folder, job)
    passages = embed(folder, [t.text for t in found], job, "document", precision=precision, normalize=unit)
    cache_folder.report_size(job, before)
    indices, scores = dense.top(
        embed(folder, [query], Job(listener=listener), "query", precision=precision, normalize=unit), passages, top
    )
    return [(float(score), found[i]) for i, score in zip(indices[0], scores[0], strict=True)]


def _unit(folder: Path, job: Job) -> bool:
    """Whether the model's vectors are brought to unit length; notes where its own settings differ from what is done."""
    for remark in model_folder.similarity_notes(folder, str(folder), "vectors keep their length", "cosine is used"):
        job.note(remark)
    return model_folder.similarity(folder) != "dot"


def _able(precision: InferencePrecision) -> None:
    if precision == "int8" and int8.missing_packages():
        raise UserError(int8.missing_packages())  # before anything is read
