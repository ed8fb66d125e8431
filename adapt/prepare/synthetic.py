"""Make a retrieval check from raw texts alone: parts of a text are the queries, and the rest of the text is the relevant passage.

A title must retrieve its body, a first sentence the rest, a keyphrase its passage. Such a check measures how well a model
represents the texts, not how well it answers users: it is labelled synthetic wherever it is shown.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from adapt import files
from adapt.errors import UserError
from adapt.prepare.beir_folder import write_beir
from adapt.records import Text
from adapt.storage.atomic import atomic_folder, write_text
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
MAX_SHARE = 0.25  # of the texts that give a query, for each of dev and test
DISTRACTORS = 2_000  # maximum number of other passages in the corpus
TITLE_WORDS, SENTENCE_WORDS, KEYPHRASE_WORDS = (3, 40), (5, 40), (2, 4)  # minimum and maximum of a query
PASSAGE_WORDS = (10, 200)  # minimum and maximum; a longer passage ends at a sentence boundary
FEW = 50  # with fewer rows the minimum detectable effect of a check is 6 to 10 points


def few_rows(dev: int, test: int) -> str:
    """A warning to append where a split has too few rows to detect small differences; "" where it has enough."""
    return f" Only large differences are significant with {min(dev, test)} rows." if min(dev, test) < FEW else ""


@dataclass(frozen=True)
class Holdout:
    """The result of `hold_out`: `counts[split][form]` queries, and the texts that remain for training."""

    remaining: list[Text]
    counts: Mapping[str, Mapping[str, int]]
    removed: int  # texts not in `remaining`: held-out ones, their near-duplicates and their groups

    def summary(self) -> str:
        """The counts in one line."""
        sizes = {split: sum(own.values()) for split, own in self.counts.items()}
        forms = ", ".join(f"{form} {sum(own.get(form, 0) for own in self.counts.values()):,}" for form in FORMS)
        return (
            f"texts (queries are synthetic: {forms}): {len(self.remaining):,} for training, {sizes['dev']:,} queries for dev, "
            f"{sizes['test']:,} for test; {self.removed:,} relevant texts and near-duplicates of them are removed from training."
            f"{few_rows(sizes['dev'], sizes['test'])}"
        )


@dataclass(frozen=True)
class _SplitText:
    """A text split into its title (or "") and the sentences of its body."""

    text: Text
    title: str
    sentences: Sequence[str]

    def passage(self, first: int = 0) -> str:
        """The sentences from index `first` on, up to the maximum length; a first sentence that is longer is truncated."""
        kept: list[str] = []
        room = PASSAGE_WORDS[1]
        for sentence in self.sentences[first:]:
            room -= count_words(sentence)
            if kept and room < 0:
                break
            kept.append(sentence if room >= 0 else " ".join(sentence.split()[: PASSAGE_WORDS[1]]))
        return " ".join(kept)


@dataclass(frozen=True)
class _Query:
    """A query and the passage that it must retrieve, cut from the text at `index`."""

    index: int
    text: str
    passage: str
    form: Form


def hold_out(
    texts: Sequence[Text], folder: Path, *, queries: int = QUERIES, forms: Sequence[Form] = FORMS, seed: int = 13
) -> Holdout:
    """Write a BEIR folder with `queries` synthetic queries for dev and as many for test; returns the texts for training.

    Each held-out text gives one query; the forms alternate where the texts allow it. Near-duplicates of held-out texts and the
    other texts of their groups are neither in the other split nor in the training data. The query is removed from its passage.
    `card.json` in the folder says that the queries are synthetic. Raises UserError where the texts give too few queries.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(texts))[: 4 * queries + DISTRACTORS]
    sample = [texts[i] for i in order]
    documents = _split_texts([sample[i] for i in deduplicate([text.text for text in sample])])
    candidates = _make_queries(documents, forms)
    groups = [documents[query.index].text.group or f"\0{query.index}" for query in candidates]  # no user's group begins with \0
    splits = _split(groups, min(queries, int(MAX_SHARE * len(candidates))), rng)
    if not splits:
        raise UserError(
            f"the texts are too few or too short to make a check from ({len(candidates):,} of {len(texts):,} give a query by "
            f"{', '.join(forms)}); give more texts, or label some: adapt label"
        )
    chosen = {split: [candidates[i] for i in rows] for split, rows in splits.items()}
    indices = [query.index for query in chain(*chosen.values())]
    held_out = [documents[index].text for index in indices]
    remaining = _remaining(texts, held_out)
    held_out_groups = {text.group for text in held_out if text.group}
    distractors = [
        passage
        for index, document in enumerate(documents)
        if index not in set(indices) and document.text.group not in held_out_groups and (passage := document.passage())
    ][:DISTRACTORS]
    _write(folder, chosen, documents, distractors)
    counts: dict[str, dict[str, int]] = {split: dict(Counter(str(query.form) for query in own)) for split, own in chosen.items()}
    found = Holdout(remaining, counts, len(texts) - len(remaining))
    card = {
        "synthetic": True,
        "form": [form for form in FORMS if any(form in own for own in counts.values())],
        "counts": {**counts, "passages": len(held_out) + len(distractors), "texts": len(texts), "remaining": len(remaining)},
        "seed": seed,
    }
    write_text(folder / "card.json", json.dumps(card, indent=2) + "\n", durable=False)
    return found


def hold_out_file(source: str, folder: Path, *, queries: int = QUERIES, forms: Sequence[Form] = FORMS, seed: int = 13) -> list[str]:
    """`hold_out` for a file of texts; writes the texts for training beside the check. Returns a summary, one line each."""
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: already exists and is not empty; choose another --out, or remove it")
    if folder.resolve() == Path.cwd():
        raise UserError(f"{folder}: is the working directory; choose a new folder")
    with atomic_folder(folder) as part:
        found = hold_out(files.read(source, "texts"), part, queries=queries, forms=forms, seed=seed)
        files.write(found.remaining, part / "texts.jsonl")
    return [
        found.summary(),
        f"wrote {folder} (corpus.jsonl, queries.jsonl, qrels/dev.tsv, qrels/test.tsv, card.json) and {folder / 'texts.jsonl'}",
        f"in a recipe: data: {{texts: {folder / 'texts.jsonl'}}}, "
        f"checks: {{synthetic-retrieval: {{dev: {folder}, test: {folder}, role: target}}}}",
    ]


def _split_texts(texts: Sequence[Text]) -> list[_SplitText]:
    found = iter(titled([text.text for text in texts if not text.title]))
    parts = [(text.title, text.body) if text.title else next(found) for text in texts]
    bodies = [" ".join(clean(part) for _, part in sections(body)) for _, body in parts]  # headings are not sentences
    split: list[list[str]] = [[] for _ in bodies]
    for index, sentence in sentences(bodies):
        split[index].append(sentence)
    return [_SplitText(text, clean(title), own) for text, (title, _), own in zip(texts, parts, split, strict=True)]


def _make_queries(documents: Sequence[_SplitText], forms: Sequence[Form]) -> list[_Query]:
    """One query for each document that allows one, all different."""
    phrases = Keyphrases([document.passage() for document in documents] if "keyphrase-passage" in forms else [])

    def title(index: int) -> tuple[str, str, tuple[int, int]]:
        return documents[index].title, documents[index].passage(), TITLE_WORDS

    def sentence(index: int) -> tuple[str, str, tuple[int, int]]:
        return (documents[index].sentences or [""])[0], documents[index].passage(1), SENTENCE_WORDS

    def keyphrase(index: int) -> tuple[str, str, tuple[int, int]]:
        phrase = phrases.best(index)
        return phrase, without(phrase, documents[index].passage()) if phrase else "", KEYPHRASE_WORDS

    makers: dict[Form, Callable[[int], tuple[str, str, tuple[int, int]]]] = {
        "title-body": title, "sentence-rest": sentence, "keyphrase-passage": keyphrase,
    }  # fmt: skip
    found: list[_Query] = []
    seen: set[str] = set()
    for index in range(len(documents)):
        turn = len(found) % len(forms)
        for form in (*forms[turn:], *forms[:turn]):
            text, passage, (least, most) = makers[form](index)
            if least <= count_words(text) <= most and count_words(passage) >= PASSAGE_WORDS[0] and normalised(text) not in seen:
                seen.add(normalised(text))
                found.append(_Query(index, text, passage, form))
                break
    return found


def _split(groups: Sequence[str], wanted: int, rng: np.random.Generator) -> dict[str, list[int]]:
    """`wanted` rows for dev and as many for test, no group in both; {} where there are not enough."""
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    names = list(members)
    order = iter([names[i] for i in rng.permutation(len(names))])
    splits: dict[str, list[int]] = {}
    for split in ("dev", "test"):
        rows: list[int] = []
        while len(rows) < wanted and (name := next(order, None)) is not None:
            rows += members[name][: wanted - len(rows)]
        splits[split] = rows
    return splits if wanted and all(splits.values()) else {}


def _remaining(texts: Sequence[Text], held_out: Sequence[Text]) -> list[Text]:
    """The texts that are not held out, not near-duplicates of held-out ones and not in the same group."""
    groups = {text.group for text in held_out if text.group}
    similar = {i for i, _, _ in NearDuplicateIndex([text.text for text in held_out]).find([text.text for text in texts])}
    return [text for i, text in enumerate(texts) if i not in similar and text.group not in groups]


def _write(
    folder: Path, chosen: Mapping[str, Sequence[_Query]], documents: Sequence[_SplitText], distractors: Sequence[str]
) -> None:
    queries: list[dict[str, str]] = []
    corpus: list[dict[str, str]] = []
    qrels: dict[str, list[tuple[str, str]]] = {split: [] for split in chosen}
    for split, own in chosen.items():
        for query in own:
            name, text = f"{split}-{len(queries)}", documents[query.index].text
            qrels[split].append((f"q-{name}", f"p-{name}"))
            queries.append({"_id": f"q-{name}", "text": query.text, "topic": text.topic or query.form, "form": query.form})
            corpus.append({"_id": f"p-{name}", "title": "", "text": query.passage} | ({"group": text.group} if text.group else {}))
    corpus += [{"_id": f"o-{number}", "title": "", "text": text} for number, text in enumerate(distractors)]
    write_beir(folder, corpus, queries, qrels)
