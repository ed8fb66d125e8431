"""Set a retrieval check aside from raw texts, where nobody has asked a question yet: what a text says of itself is the query.

A title must find its body, a first sentence the rest, a keyphrase its passage. Such a check tells whether a model knows the
texts, not how it serves people: it is called synthetic wherever it is shown.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from adapt import files
from adapt.errors import UserError
from adapt.records import Text
from adapt.storage.atomic import atomic_file, atomic_folder, write_text
from adapt.text.clean import clean, normalised
from adapt.text.keyphrases import Keyphrases, without
from adapt.text.near_duplicates import NearDuplicateIndex, deduplicate
from adapt.text.scripts import count_words
from adapt.text.sections import sections
from adapt.text.sentences import sentences
from adapt.text.titles import titled

Form = Literal["title-body", "sentence-rest", "keyphrase-passage"]
FORMS: tuple[Form, ...] = get_args(Form)
QUERIES = 300  # of dev, and of test
SHARE = 0.25  # of the texts that questions are made from, for each of dev and test at the most
POOL = 2_000  # texts that the queries search, beside their own
TITLE, SENTENCE = (3, 40), (5, 40)  # words of a query, fewest and most
PASSAGE = (10, 200)  # words of a passage; a longer one ends with a sentence before
FEW = 50  # with fewer queries a check sees only gains of 6 to 10 points


@dataclass(frozen=True)
class HeldOut:
    """What was set aside: `counts[split][form]` queries, and the texts that may be trained on."""

    remaining: list[Text]
    counts: Mapping[str, Mapping[str, int]]
    removed: int  # texts left out of `remaining`: those asked for, their near-copies and their groups

    def said(self) -> str:
        """What to tell the user."""
        sizes = {split: sum(own.values()) for split, own in self.counts.items()}
        forms = ", ".join(f"{form} {sum(own.get(form, 0) for own in self.counts.values()):,}" for form in FORMS)
        few = f" Few: with {min(sizes.values())}, only large gains can be told from chance." if min(sizes.values()) < FEW else ""
        return (
            f"texts (queries are synthetic: {forms}): {len(self.remaining):,} for training, {sizes['dev']:,} queries for dev, "
            f"{sizes['test']:,} for test; {self.removed:,} texts that they ask for, or nearly the same, kept out of training.{few}"
        )


@dataclass(frozen=True)
class _Document:
    """A text taken apart: its title (or ""), the sentences of its body."""

    text: Text
    title: str
    sentences: Sequence[str]

    def passage(self, first: int = 0) -> str:
        """Sentences from `first` on, as many as a passage holds; one that alone is longer is cut."""
        kept: list[str] = []
        room = PASSAGE[1]
        for sentence in self.sentences[first:]:
            room -= count_words(sentence)
            if kept and room < 0:
                break
            kept.append(sentence if room >= 0 else " ".join(sentence.split()[: PASSAGE[1]]))
        return " ".join(kept)


def hold_out(
    texts: Sequence[Text], folder: Path, *, queries: int = QUERIES, forms: Sequence[Form] = FORMS, seed: int = 13
) -> HeldOut:
    """Write a BEIR folder with `queries` synthetic queries for dev and as many for test; returns what may be trained on.

    Each text asked for is one query, by the forms in turn where it allows them. Its near-copies and the rest of its group are
    neither in the other split nor in what remains. The passages lack what was cut from them for the query. `card.json` in the
    folder says that the queries are synthetic. Raises UserError where the texts give too few.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(texts))[: 4 * queries + POOL]
    sample = [texts[i] for i in order]
    documents = _documents([sample[i] for i in deduplicate([text.text for text in sample])])
    asked = _questions(documents, forms)
    families = [documents[place].text.group or f"\0{place}" for place, _, _, _ in asked]  # no group of a user's begins so
    splits = _splits(families, min(queries, int(SHARE * len(asked))), rng)
    if not splits:
        raise UserError(
            f"the texts are too few or too short to make a check from ({len(asked):,} of {len(texts):,} give a query by "
            f"{', '.join(forms)}); give more texts, or label some: adapt label"
        )
    chosen = {split: [asked[i] for i in rows] for split, rows in splits.items()}
    held = [documents[place].text for place, *_ in chain(*chosen.values())]
    remaining = _apart(texts, held)
    groups = {text.group for text in held if text.group}
    own = {place for place, *_ in chain(*chosen.values())}
    others = [
        passage
        for place, document in enumerate(documents)
        if place not in own and document.text.group not in groups and (passage := document.passage())
    ][:POOL]
    _write(folder, chosen, documents, others)
    counts = {split: dict(Counter(form for *_, form in rows)) for split, rows in chosen.items()}
    found = HeldOut(remaining, counts, len(texts) - len(remaining))
    card = {
        "synthetic": True,
        "form": [form for form in FORMS if any(form in own for own in counts.values())],
        "counts": {**counts, "passages": len(held) + len(others), "texts": len(texts), "remaining": len(remaining)},
        "seed": seed,
    }
    write_text(folder / "card.json", json.dumps(card, indent=2) + "\n", durable=False)
    return found


def hold_out_file(source: str, folder: Path, *, queries: int = QUERIES, forms: Sequence[Form] = FORMS, seed: int = 13) -> list[str]:
    """`hold_out` for a file of texts; what may be trained on is written beside the check. Returns what to tell the user."""
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: is there already; give another --out, or remove it")
    if folder.resolve() == Path.cwd():
        raise UserError(f"{folder}: is the working directory; give a folder of its own")
    with atomic_folder(folder) as aside:
        found = hold_out(files.read(source, "texts"), aside, queries=queries, forms=forms, seed=seed)
        files.write(found.remaining, aside / "texts.jsonl")
    return [
        found.said(),
        f"wrote {folder} (corpus.jsonl, queries.jsonl, qrels/dev.tsv, qrels/test.tsv, card.json) and {folder / 'texts.jsonl'}",
        f"in a recipe: data: {{texts: {folder / 'texts.jsonl'}}}, "
        f"checks: {{synthetic-retrieval: {{dev: {folder}, test: {folder}, role: target}}}}",
    ]


def _documents(texts: Sequence[Text]) -> list[_Document]:
    found = iter(titled([text.text for text in texts if not text.title]))
    parts = [(text.title, text.body) if text.title else next(found) for text in texts]
    bodies = [" ".join(clean(part) for _, part in sections(body)) for _, body in parts]  # headings are no sentences
    split: list[list[str]] = [[] for _ in bodies]
    for index, sentence in sentences(bodies):
        split[index].append(sentence)
    return [_Document(text, clean(title), own) for text, (title, _), own in zip(texts, parts, split, strict=True)]


def _questions(documents: Sequence[_Document], forms: Sequence[Form]) -> list[tuple[int, str, str, str]]:
    """(document, query, passage, form) for each document that gives one; no query twice."""
    phrases = Keyphrases([document.passage() for document in documents] if "keyphrase-passage" in forms else [])

    def title(place: int) -> tuple[str, str, tuple[int, int]]:
        return documents[place].title, documents[place].passage(), TITLE

    def sentence(place: int) -> tuple[str, str, tuple[int, int]]:
        return (documents[place].sentences or [""])[0], documents[place].passage(1), SENTENCE

    def keyphrase(place: int) -> tuple[str, str, tuple[int, int]]:
        phrase = phrases.best(place)
        return phrase, without(phrase, documents[place].passage()) if phrase else "", (2, 4)

    makers: dict[Form, Callable[[int], tuple[str, str, tuple[int, int]]]] = {
        "title-body": title, "sentence-rest": sentence, "keyphrase-passage": keyphrase,
    }  # fmt: skip
    found: list[tuple[int, str, str, str]] = []
    seen: set[str] = set()
    for place in range(len(documents)):
        turn = len(found) % len(forms)
        for form in (*forms[turn:], *forms[:turn]):
            query, passage, (least, most) = makers[form](place)
            if least <= count_words(query) <= most and count_words(passage) >= PASSAGE[0] and normalised(query) not in seen:
                seen.add(normalised(query))
                found.append((place, query, passage, form))
                break
    return found


def _splits(families: Sequence[str], wanted: int, rng: np.random.Generator) -> dict[str, list[int]]:
    """`wanted` rows for dev and as many for test, no family in both; {} where there are not enough."""
    members: dict[str, list[int]] = {}
    for row, family in enumerate(families):
        members.setdefault(family, []).append(row)
    names = list(members)
    order = iter([names[i] for i in rng.permutation(len(names))])
    splits: dict[str, list[int]] = {}
    for split in ("dev", "test"):
        rows: list[int] = []
        while len(rows) < wanted and (name := next(order, None)) is not None:
            rows += members[name][: wanted - len(rows)]
        splits[split] = rows
    return splits if wanted and all(splits.values()) else {}


def _apart(texts: Sequence[Text], held: Sequence[Text]) -> list[Text]:
    """The texts that are neither held out, nor nearly so, nor of a group that is."""
    groups = {text.group for text in held if text.group}
    alike = {i for i, _, _ in NearDuplicateIndex([text.text for text in held]).find([text.text for text in texts])}
    return [text for i, text in enumerate(texts) if i not in alike and text.group not in groups]


def _write(
    folder: Path,
    chosen: Mapping[str, Sequence[tuple[int, str, str, str]]],
    documents: Sequence[_Document],
    others: Sequence[str],
) -> None:
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    queries: list[dict[str, Any]] = []
    corpus: list[dict[str, Any]] = []
    for split, rows in chosen.items():
        qrels = folder / "qrels" / f"{split}.tsv"
        with atomic_file(qrels, durable=False) as aside, open(aside, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(["query-id", "corpus-id", "score"])
            for place, query, passage, form in rows:
                name, text = f"{split}-{len(queries)}", documents[place].text
                writer.writerow([f"q-{name}", f"p-{name}", 1])
                queries.append({"_id": f"q-{name}", "text": query, "topic": text.topic or form, "form": form})
                corpus.append({"_id": f"p-{name}", "title": "", "text": passage} | ({"group": text.group} if text.group else {}))
    corpus += [{"_id": f"o-{number}", "title": "", "text": text} for number, text in enumerate(others)]
    for name, table in (("queries", queries), ("corpus", corpus)):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table)
        write_text(folder / f"{name}.jsonl", lines, durable=False)
