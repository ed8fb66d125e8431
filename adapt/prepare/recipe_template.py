"""The text of the recipe that `adapt init` writes: commented YAML with the steps that the data allow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from adapt.escaping import escape_terminal

# The comment and the steps for each kind of data.
STEPS = {
    "tsdae": """\
  # Adapts the model to the vocabulary of the raw texts. Large corpora benefit from more steps; the gate undoes harm.
  # With 4,000 texts or more, and a base model that is an embedder, stage embedding-denoising gains more.
  - tsdae: {deletion_ratio: 0.6, epochs: 1}
""",
    "texts alone": """\
  # There are no questions yet, so titles and sentences serve as queries. Real pairs are better training data: see adapt label.
  - pairs: {forms: [title-body, sentence-rest], min_passage_words: 10}
  - finetune: {examples: pseudo, loss: mnrl, epochs: 1, learning_rate: 2e-5}
""",
    "gold": """\
  # A cross-encoder learns your scores from both sentences together; then it labels pairs that nobody scored.
  - cross-encoder: {pairs: gold, epochs: 3}
  - silver: {sampling: [bm25, dense], pairs: 2000}
  # Fine-tunes the model on your scores and the cross-encoder's.
  - finetune: {id: augment, examples: [gold, silver], loss: cosent, learning_rate: 2e-5}
""",
    "gold without texts": """\
  # Fine-tunes the model on your scores alone: without raw texts there are no pairs to label.
  - finetune: {id: augment, examples: gold, loss: cosent, epochs: 2, learning_rate: 2e-5}
""",
    "pairs": """\
  # Mines hard negatives, passages that are similar to a question but do not answer it, and trains with them.
  - mine: {retrievers: [bm25, dense], negatives: 4}
  - finetune: {examples: triplets, loss: mnrl, epochs: 1, learning_rate: 5e-5}
""",
}
SYNTHETIC = """\
# The target is synthetic: titles, first sentences and keyphrases must retrieve the texts that they come from. It measures how well
# the model represents your texts, not how well it answers users: replace it once you have questions and their passages.
"""
TARGETS = {"retrieval": "retrieval.ndcg@10", "synthetic-retrieval": "synthetic-retrieval.ndcg@10", "sts": "sts.spearman"}


def recipe_text(
    name: str, model: str, data: Mapping[str, str], checks: Mapping[str, str], has_texts: bool, language: str | None
) -> str:
    """The recipe as YAML. `data`: name → path; `checks`: name → the check in YAML; `language`: of lexical retrieval."""
    target = next(metric for check, metric in TARGETS.items() if check in checks)
    steps = STEPS["tsdae"] if has_texts else ""
    steps += (STEPS["gold"] if has_texts else STEPS["gold without texts"]) if "gold" in data else ""
    steps += STEPS["pairs"] if "pairs" in data else ""
    steps += STEPS["texts alone"] if "synthetic-retrieval" in checks else ""
    if language not in (None, "english"):
        steps = re.sub(r"(- (?:mine|silver): \{[^}]*)\}", rf"\1, language: {language}}}", steps)
    synthetic = SYNTHETIC if "synthetic-retrieval" in checks else ""
    return f"""\
# {name}: adapts {escape_terminal(model)} to your texts. Run it with: adapt run {name}
# Edit any setting here, or override it for one run: adapt run {name} --set stages.tsdae.epochs=2
name: {json.dumps(name)}
description: {json.dumps(f"{model} adapted to {name}")}
model: {json.dumps(model)}
seed: 13

# Paths are relative to this file. Near-duplicates of dev and test data are removed from the training data, and counted.
# limit: 3000 would sample that many rows of each, for a quick trial.
data:
{"".join(f"  {key}: {json.dumps(value)}" + chr(10) for key, value in data.items())}
# Measured on dev after every step, and on test once, at the end. Targets should rise, guards must not fall.
{synthetic}checks:
{"".join(f"  {key}: {value}" + chr(10) for key, value in checks.items())}\
  general-sts: {{dev: corpora/general/sts-dev.csv, test: corpora/general/sts-test.csv, role: guard}}
  general-retrieval: {{dev: corpora/general/retrieval, test: corpora/general/retrieval, role: guard}}

# A step is blended with the model before it if a guard falls by more than this (0.01 is one point), or the target gets worse.
gate:
  target: {target}
  guard: {{general-sts.spearman: -0.01, general-retrieval.ndcg@10: -0.01}}
  action: blend

stages:
{steps}"""
