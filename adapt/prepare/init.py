"""Write a recipe for a user's own files, with the steps that the data allow, after holding out dev and test data."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapt import files
from adapt.components import components
from adapt.errors import UserError
from adapt.files import beir
from adapt.models import lookup
from adapt.models.coverage import coverage_warnings
from adapt.pipeline.input_report import texts_of
from adapt.prepare.beir_folder import write_beir
from adapt.prepare.recipe_template import recipe_text
from adapt.prepare.synthetic import few_rows, hold_out
from adapt.recipe.identifiers import name_problem
from adapt.records import Pair, ScoredPair, Text
from adapt.storage.atomic import atomic_folder, write_text
from adapt.text.clean import normalised
from adapt.text.language import language_of

HELD_OUT_SHARE, MAX_HELD_OUT = 0.1, 200  # share of the rows for dev and again for test; maximum number of rows of each


def init(
    folder: Path, *, texts: str | None, pairs: str | None, gold: str | None, model: str = "all-MiniLM-L6-v2", seed: int = 13
) -> list[str]:
    """Write `folder/recipe.yaml` and the data that it needs; returns a summary, one line each.

    Connected rows, which share a text or a `group` directly or through other rows, are all in training, all in dev or all in test.
    The folder is written atomically. Raises UserError for unreadable files, and where `folder` is not new.
    """
    if not (texts or pairs or gold):
        raise UserError("init needs data: give --texts, --pairs or --gold")
    if wrong := name_problem(folder.resolve().name):
        raise UserError(f"{folder}: the folder's name is the name of the recipe, and {wrong}")
    _require_new_folder(folder)
    loaded = _load(texts, pairs, gold)
    summary = _coverage_warnings(loaded, model)
    language = language_of(texts_of([*loaded.texts, *loaded.pairs, *loaded.gold]))
    if language not in (None, "english"):
        summary.append(f"language: {language} (detected by its most frequent words): lexical retrieval uses its stemmer")
    with atomic_folder(folder) as part:  # paths in the recipe are relative to the folder's final place
        summary += _write(part, folder, loaded, texts, pairs, model, seed, language)
    return [*summary, f"wrote {folder / 'recipe.yaml'}; next: adapt run {folder}"]


@dataclass(frozen=True)
class _Loaded:
    """The records of the user's files."""

    texts: Sequence[Text]
    pairs: Sequence[Pair]
    gold: Sequence[ScoredPair]


def _load(texts: str | None, pairs: str | None, gold: str | None) -> _Loaded:
    """The records of the files that are given; raises UserError with the problems of all of them."""
    problems: list[str] = []
    found: dict[str, list[Any]] = {"texts": [], "pairs": [], "gold": []}
    for name, source, kind in (("texts", texts, "texts"), ("pairs", pairs, "pairs"), ("gold", gold, "scored")):
        try:
            if source:
                found[name] = files.read(source, kind)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    return _Loaded(**found)


def _require_new_folder(folder: Path) -> None:
    """Raise UserError for a folder that exists, or whose path is not a plain one."""
    if ".." in folder.parts:
        raise UserError(f"{folder}: contains ..; give a plain name, or an absolute path")
    if folder.is_file():
        raise UserError(f"{folder}: is a file, and init creates a folder; choose another name")
    if folder.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise UserError(f"{folder}: is the working directory or a parent of it; choose a new folder")
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: already exists and is not empty; choose another name, or remove it")


def _write(
    part: Path,
    folder: Path,
    loaded: _Loaded,
    texts: str | None,
    pairs: str | None,
    model: str,
    seed: int,
    language: str | None,
) -> list[str]:
    """Write everything into `part`, which becomes `folder`; returns a summary."""
    rng = np.random.default_rng(seed)
    summary: list[str] = []
    data: dict[str, str] = {}
    checks: dict[str, str] = {}
    if pairs and beir.is_beir_folder(pairs) and all(beir.qrels_file(pairs, split) for split in ("dev", "test")):
        path = os.path.relpath(pairs, folder)
        summary.append(f"pairs: {len(loaded.pairs):,} of qrels/train; dev and test are the folder's own splits")
        data["pairs"], checks["retrieval"] = path, f"{{dev: {json.dumps(path)}, test: {json.dumps(path)}, role: target}}"
    elif loaded.pairs:
        summary.append(_hold_out_pairs(part, loaded.pairs, rng))
        data["pairs"], checks["retrieval"] = "pairs.jsonl", "{dev: dev, test: test, role: target}"
    if loaded.gold:
        summary.append(_hold_out_gold(part, loaded.gold, rng))
        data["gold"], checks["sts"] = "gold.csv", "{dev: sts-dev.csv, test: sts-test.csv, role: target}"
    if texts and checks:
        data["texts"] = texts if texts.startswith("hf://") else os.path.relpath(texts, folder)
    elif texts:
        queries = _held_out_size(len(loaded.texts))
        found = hold_out(loaded.texts, part / "synthetic", queries=queries, seed=seed)
        files.write(found.remaining, part / "texts.jsonl")
        summary.append(found.summary())
        data["texts"], checks["synthetic-retrieval"] = "texts.jsonl", "{dev: synthetic, test: synthetic, role: target}"
    model_path = Path(model).expanduser()
    name = os.path.relpath(model_path, folder) if (model_path / "config.json").is_file() else model
    text = recipe_text(folder.resolve().name, name, data, checks, texts is not None, language)
    write_text(part / "recipe.yaml", text)
    return summary


def _coverage_warnings(loaded: _Loaded, model: str) -> list[str]:
    """Warnings where the tokenizer covers the texts badly; none where the model is not on this machine."""
    try:
        folder = lookup.find_model(model, download=False)
    except UserError:
        return []
    named = (("texts", loaded.texts), ("pairs", loaded.pairs), ("gold", loaded.gold))
    return [warning for name, records in named if records for warning in coverage_warnings(name, folder, texts_of(records))]


def _held_out_size(rows: int) -> int:
    """The number of rows to hold out for dev, and again for test."""
    return min(MAX_HELD_OUT, max(1, round(HELD_OUT_SHARE * rows)))


def _split(components: Sequence[int], rng: np.random.Generator) -> tuple[list[int], list[int], list[int]]:
    """Row numbers of (train, dev, test); rows of one component are in the same split. Raises UserError for too few components."""
    names = list(dict.fromkeys(components))
    order = [names[i] for i in rng.permutation(len(names))]
    wanted = _held_out_size(len(components))
    dev: set[int] = set()
    test: set[int] = set()
    sizes = Counter(components)
    for part in (dev, test):
        room = wanted
        for name in order:
            if room > 0 and name not in dev and name not in test and sizes[name] <= max(room, wanted // 2, 1):
                part.add(name)
                room -= sizes[name]
    if not dev or not test or len(names) < 3:
        raise UserError("too few unconnected rows to hold out: dev and test need rows that share no text with the training data")
    rows = range(len(components))
    return (
        [i for i in rows if components[i] not in dev | test],
        [i for i in rows if components[i] in dev],
        [i for i in rows if components[i] in test],
    )


def _connected(sides: Sequence[tuple[str, str]], groups: Sequence[str]) -> list[int]:
    """The component number of each row: rows that share a text or a group, directly or through others, have the same."""
    keys = [(normalised(left), normalised(right)) for left, right in sides]
    return components([(*own, *([("group", normalised(group))] if group else ())) for own, group in zip(keys, groups, strict=True)])


def _summary(name: str, train: int, dev: int, test: int) -> str:
    return f"{name}: {train:,} for training, {dev:,} for dev, {test:,} for test; the splits share no text.{few_rows(dev, test)}"


def _hold_out_pairs(folder: Path, pairs: Sequence[Pair], rng: np.random.Generator) -> str:
    """Write the training pairs, and the pairs for dev and test as BEIR folders; returns a summary."""
    train, dev, test = _split(_connected([(p.anchor, p.positive) for p in pairs], [p.group for p in pairs]), rng)
    files.write([pairs[i] for i in train], folder / "pairs.jsonl")
    passages = list({normalised(p.positive): p.positive for p in pairs}.values())
    ids = {normalised(text): f"p{i}" for i, text in enumerate(passages)}
    corpus = [{"_id": f"p{i}", "title": "", "text": text} for i, text in enumerate(passages)]
    for split, rows in (("dev", dev), ("test", test)):
        query_ids = {text: f"q{i}" for i, text in enumerate(dict.fromkeys(pairs[i].anchor for i in rows))}
        queries = [{"_id": query_id, "text": text} for text, query_id in query_ids.items()]
        qrels = [(query_ids[pairs[i].anchor], ids[normalised(pairs[i].positive)]) for i in rows]
        write_beir(folder / split, corpus, queries, {split: qrels})
    return _summary("pairs", len(train), len(dev), len(test))


def _hold_out_gold(folder: Path, gold: Sequence[ScoredPair], rng: np.random.Generator) -> str:
    """Write the scored pairs of training, dev and test; returns a summary."""
    train, dev, test = _split(_connected([(p.sentence1, p.sentence2) for p in gold], [""] * len(gold)), rng)
    for name, rows in (("gold.csv", train), ("sts-dev.csv", dev), ("sts-test.csv", test)):
        files.write([gold[i] for i in rows], folder / name)
    return _summary("gold", len(train), len(dev), len(test))
