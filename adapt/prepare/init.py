"""Write a recipe for a user's own files, suited to what is there, with dev and test data set aside first."""

from __future__ import annotations

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adapt import files
from adapt.components import components
from adapt.errors import UserError
from adapt.escaping import escape_terminal
from adapt.files import beir
from adapt.models import lookup
from adapt.models.coverage import coverage_warnings
from adapt.pipeline.input_report import texts_of
from adapt.prepare.synthetic import hold_out
from adapt.recipe.identifiers import name_problem
from adapt.records import Pair, ScoredPair
from adapt.storage.atomic import atomic_file, atomic_folder, write_text
from adapt.text.clean import normalised
from adapt.text.language import language_of

HELD_OUT, MOST = 0.1, 200  # share of the rows for dev and again for test, and the most that are needed of each
FEW = 50  # below this a check sees only gains of 6 to 10 points


def init(
    folder: Path, *, texts: str | None, pairs: str | None, gold: str | None, model: str = "all-MiniLM-L6-v2", seed: int = 13
) -> list[str]:
    """Write `folder/recipe.yaml` and the data it needs beside it; returns what to tell the user.

    Rows are held out by family: rows that share a text, directly or through others, or a `group`, stay on one side. The folder
    is built aside and appears whole. Raises UserError for unreadable files, and where `folder` is not new.
    """
    if not (texts or pairs or gold):
        raise UserError("nothing to start from: give --texts, and --pairs or --gold where you have them")
    if wrong := name_problem(folder.resolve().name):
        raise UserError(f"{folder}: the folder's name is the recipe's, and {wrong}")
    _refuse_place(folder)
    problems: list[str] = []
    loaded: dict[str, list[Any]] = {}
    for name, source, kind in (("texts", texts, "texts"), ("pairs", pairs, "pairs"), ("gold", gold, "scored")):
        try:
            if source:
                loaded[name] = files.read(source, kind)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    said = _fit(loaded, model)
    language = language_of(texts_of(record for records in loaded.values() for record in records))
    if language not in (None, "english"):
        said.append(f"language: {language} (found by its commonest words): lexical search uses its word endings")
    with atomic_folder(folder) as aside:  # paths in the recipe start at the folder's final place
        said += _fill(aside, folder, loaded, texts, pairs, model, seed, language)
    return [*said, f"wrote {folder / 'recipe.yaml'}; next: adapt run {folder}"]


def _refuse_place(folder: Path) -> None:
    """Raise UserError where the folder would not be a new one below the place that was named."""
    if ".." in folder.parts:
        raise UserError(f"{folder}: leaves its folder (..); give a plain name, or a full path")
    if folder.is_file():
        raise UserError(f"{folder}: is a file, and init makes a folder; give another name")
    if folder.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise UserError(f"{folder}: is the working directory or one above it; give a name for a folder of its own")
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: already exists and is not empty; give another name, or remove it")


def _fill(
    aside: Path,
    folder: Path,
    loaded: Mapping[str, Sequence[Any]],
    texts: str | None,
    pairs: str | None,
    model: str,
    seed: int,
    language: str | None,
) -> list[str]:
    """Write everything into `aside`, which is to become `folder`; returns what to tell the user."""
    rng = np.random.default_rng(seed)
    said: list[str] = []
    data: dict[str, str] = {}
    checks: dict[str, str] = {}
    if pairs and beir.is_beir_folder(pairs) and all(beir.qrels_file(pairs, split) for split in ("dev", "test")):
        there = os.path.relpath(pairs, folder)
        said.append(f"pairs: {len(loaded['pairs']):,} of qrels/train; dev and test are the folder's own")
        data["pairs"], checks["retrieval"] = there, f"{{dev: {json.dumps(there)}, test: {json.dumps(there)}, role: target}}"
    elif "pairs" in loaded:
        said.append(_hold_out_pairs(aside, loaded["pairs"], rng))
        data["pairs"], checks["retrieval"] = "pairs.jsonl", "{dev: dev, test: test, role: target}"
    if "gold" in loaded:
        said.append(_hold_out_gold(aside, loaded["gold"], rng))
        data["gold"], checks["sts"] = "gold.csv", "{dev: sts-dev.csv, test: sts-test.csv, role: target}"
    if texts and checks:
        data["texts"] = texts if texts.startswith("hf://") else os.path.relpath(texts, folder)
    elif texts:
        found = hold_out(
            loaded["texts"], aside / "synthetic", queries=min(MOST, max(1, round(HELD_OUT * len(loaded["texts"])))), seed=seed
        )
        files.write(found.remaining, aside / "texts.jsonl")
        said.append(found.said())
        data["texts"], checks["synthetic-retrieval"] = "texts.jsonl", "{dev: synthetic, test: synthetic, role: target}"
    model_path = Path(model).expanduser()
    name = os.path.relpath(model_path, folder) if (model_path / "config.json").is_file() else model
    text = _recipe(folder.resolve().name, name, data, checks, texts is not None, language)
    write_text(aside / "recipe.yaml", text)
    return said


def _fit(loaded: Mapping[str, Sequence[Any]], model: str) -> list[str]:
    """Warnings where the model hardly covers the texts; none where it is not here to be asked."""
    try:
        folder = lookup.find_model(model, download=False)
    except UserError:
        return []
    return [text for name, found in loaded.items() for text in coverage_warnings(name, folder, texts_of(found))]


def _aside(families: Sequence[Hashable], rng: np.random.Generator) -> tuple[list[int], list[int], list[int]]:
    """Row numbers for (train, dev, test), whole families at a time."""
    names = list(dict.fromkeys(families))
    order = [names[i] for i in rng.permutation(len(names))]
    wanted = min(MOST, max(1, round(HELD_OUT * len(families))))
    dev: set[Hashable] = set()
    test: set[Hashable] = set()
    sizes = Counter(families)
    for part in (dev, test):
        room = wanted
        for name in order:
            if room > 0 and name not in dev and name not in test and sizes[name] <= max(room, wanted // 2, 1):
                part.add(name)
                room -= sizes[name]
    if not dev or not test or len(names) < 3:
        raise UserError("too few unconnected rows to hold any out: dev and test need rows that share no text with training")
    rows = range(len(families))
    return (
        [i for i in rows if families[i] not in dev | test],
        [i for i in rows if families[i] in dev],
        [i for i in rows if families[i] in test],
    )


def _families(sides: Sequence[tuple[str, str]], groups: Sequence[str]) -> list[int]:
    keys = [(normalised(left), normalised(right)) for left, right in sides]
    return components([(*own, *([("group", normalised(group))] if group else ())) for own, group in zip(keys, groups, strict=True)])


def _said(what: str, train: int, dev: int, test: int) -> str:
    few = f" Few: with {min(dev, test)}, only large gains can be told from chance." if min(dev, test) < FEW else ""
    return f"{what}: {train:,} for training, {dev:,} for dev, {test:,} for test, no text shared between them.{few}"


def _hold_out_pairs(folder: Path, pairs: Sequence[Pair], rng: np.random.Generator) -> str:
    families = _families([(p.anchor, p.positive) for p in pairs], [p.group for p in pairs])
    train, dev, test = _aside(families, rng)
    files.write([pairs[i] for i in train], folder / "pairs.jsonl")
    passages = list({normalised(p.positive): p.positive for p in pairs}.values())
    for split, rows in (("dev", dev), ("test", test)):
        _beir(folder / split, split, passages, [(pairs[i].anchor, pairs[i].positive) for i in rows])
    return _said("pairs", len(train), len(dev), len(test))


def _hold_out_gold(folder: Path, gold: Sequence[ScoredPair], rng: np.random.Generator) -> str:
    families = _families([(p.sentence1, p.sentence2) for p in gold], [""] * len(gold))
    train, dev, test = _aside(families, rng)
    for name, rows in (("gold.csv", train), ("sts-dev.csv", dev), ("sts-test.csv", test)):
        files.write([gold[i] for i in rows], folder / name)
    return _said("gold", len(train), len(dev), len(test))


def _beir(folder: Path, split: str, passages: Sequence[str], queries: Sequence[tuple[str, str]]) -> None:
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    number = {normalised(text): f"p{i}" for i, text in enumerate(passages)}
    asked = list(dict.fromkeys(anchor for anchor, _ in queries))
    _lines(folder / "corpus.jsonl", [{"_id": f"p{i}", "title": "", "text": text} for i, text in enumerate(passages)])
    _lines(folder / "queries.jsonl", [{"_id": f"q{i}", "text": text} for i, text in enumerate(asked)])
    with atomic_file(folder / "qrels" / f"{split}.tsv") as aside, open(aside, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["query-id", "corpus-id", "score"])
        writer.writerows([f"q{asked.index(anchor)}", number[normalised(positive)], 1] for anchor, positive in queries)


def _lines(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    write_text(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


# What a recipe says for each kind of data; a line is a comment or a step.
STEPS = {
    "tsdae": """\
  # Learns the domain's words from the raw texts. More steps help large corpora; the gate sets it back where it hurts.
  # With four thousand texts or more, and a base that is an embedder, objective: vectors gains more.
  - tsdae: {deletion_ratio: 0.6, epochs: 1}
""",
    "texts alone": """\
  # Nobody has asked anything yet, so titles and sentences stand in for questions. Real pairs teach more: see adapt label.
  - pairs: {forms: [title-body, sentence-rest], min_passage_words: 10}
  - finetune: {examples: pseudo, loss: mnrl, epochs: 1, learning_rate: 2e-5}
""",
    "gold": """\
  # Reads two sentences at once and learns your scores; then it scores pairs that nobody labelled.
  - cross-encoder: {pairs: gold, epochs: 3}
  - silver: {sampling: [bm25, dense], pairs: 2000}
  # Learns from your scores and the cross-encoder's together.
  - finetune: {id: augment, examples: [gold, silver], loss: cosent, learning_rate: 2e-5}
""",
    "gold without texts": """\
  # Learns from your scores alone: without raw texts there is nothing to label.
  - finetune: {id: augment, examples: gold, loss: cosent, epochs: 2, learning_rate: 2e-5}
""",
    "pairs": """\
  # Finds passages that look right for a question but are not, and learns to tell them apart.
  - mine: {finders: [bm25, dense], negatives: 4}
  - finetune: {examples: triplets, loss: mnrl, epochs: 1, learning_rate: 5e-5}
""",
}

MADE_UP = """\
# The target is synthetic: titles, first sentences and keyphrases must find the texts that they were cut from. It shows whether
# the model knows your texts, not how well it answers people: replace it as soon as you have questions and their passages.
"""


def _recipe(
    name: str, model: str, data: Mapping[str, str], checks: Mapping[str, str], has_texts: bool, language: str | None
) -> str:
    target = {"retrieval": "retrieval.ndcg@10", "synthetic-retrieval": "synthetic-retrieval.ndcg@10", "sts": "sts.spearman"}
    main = next(target[check] for check in ("retrieval", "synthetic-retrieval", "sts") if check in checks)
    steps = STEPS["tsdae"] if has_texts else ""
    steps += (STEPS["gold"] if has_texts else STEPS["gold without texts"]) if "gold" in data else ""
    steps += STEPS["pairs"] if "pairs" in data else ""
    steps += STEPS["texts alone"] if "synthetic-retrieval" in checks else ""
    if language not in (None, "english"):
        steps = re.sub(r"(- (?:mine|silver): \{[^}]*)\}", rf"\1, language: {language}}}", steps)
    made_up = MADE_UP if "synthetic-retrieval" in checks else ""
    return f"""\
# {name}: adapts {escape_terminal(model)} to your texts. Run it with: adapt run {name}
# Change anything here, or for one run: adapt run {name} --set stages.tsdae.epochs=2
name: {json.dumps(name)}
description: {json.dumps(f"{model} adapted to {name}")}
model: {json.dumps(model)}
seed: 13

# Paths start at this file. Rows too like dev or test data are removed before training, and counted.
# limit: 3000 would draw that many rows of each, for a quick try.
data:
{"".join(f"  {key}: {json.dumps(value)}" + chr(10) for key, value in data.items())}
# Measured after every step on dev; on test once, at the end. Targets should rise, guards must not fall.
{made_up}checks:
{"".join(f"  {key}: {value}" + chr(10) for key, value in checks.items())}\
  general-sts: {{dev: corpora/general/sts-dev.csv, test: corpora/general/sts-test.csv, role: guard}}
  general-retrieval: {{dev: corpora/general/retrieval, test: corpora/general/retrieval, role: guard}}

# A step that lets a guard fall by more than this (0.01 is one point), or the target get worse, is blended back.
gate:
  target: {main}
  guard: {{general-sts.spearman: -0.01, general-retrieval.ndcg@10: -0.01}}
  action: blend

stages:
{steps}"""
