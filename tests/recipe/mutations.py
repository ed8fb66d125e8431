"""Recipes and `--set` values that nobody meant: drawn by a seed, for the fuzz test here and the larger one in scripts/attack."""

from __future__ import annotations

import random
import re

KEYS = (
    "name", "description", "model", "seed", "data", "data.texts", "data.gold", "data.limit", "data.leaks", "data.triplets",
    "checks", "checks.sts", "checks.sts.dev", "checks.sts.kind", "checks.sts.role", "checks.sts.dev.pool", "gate",
    "checks.x-retrieval.test.at",
    "gate.target", "gate.guard", "gate.guard.sts.spearman", "gate.transfer", "gate.action", "gate.grid", "gate.later", "stages",
    "stages.tsdae", "stages.0", "stages.9", "stages.²", "stages.tsdae.id", "stages.tsdae.min_words", "stages.augment.examples",
    "stages.augment.loss", "stages.mine.miner", "stages.mine.cross_encoder", "stages.mine.range_min", "stages.mine.retrievers",
    "stages.mine.quotas", "stages.silver.shares", "stages.silver.cross_encoder", "stages.silver.pairs", "stages.finetune.max_steps",
    "stages.finetune.learning_rate", "stages.finetune.matryoshka", "stages.finetune.gradient_checkpointing", "sweep",
    "sweep.finetune", "sweep.finetune.epochs", "sweep.mine.negatives", "max_combinations", "foo", "a.b.c", "", "stages..x",
)  # fmt: skip
VALUES = (
    "5", "-1", "0", "1e5", "1.5", "true", "null", "[]", "{}", "[1]", "{a: 1}", "nan", ".nan", "-.inf", "1e999", "9" * 30, "x",
    "'3'",
    "../..", "/", "/dev/zero", "~nobody-here/x", "~", "y" * 300, "y" * 5000, "[[[[1]]]]", "[" * 50, "{a: {b: {c: 1}}}", "[a, b]",
    "[gold, gold]", "{gold: 0.5, silver: 0.5}", "{gold: x}", "&a [*a]", "*a", "!!python/object/apply:os.getcwd []", "!!str 5",
    "a: b: c", "{a: 1, a: 2}", '"\\0"', '"\\ud800"', '"\\UFFFFFFFF"', "\x00", "\x1b[31m", "[/b]", "🙂", "hf://", "hf://a/b/c",
    "{finetune: {epochs: [1, 2]}}", "{finetune: {epochs: [0]}}", "{mine: {range_min: [0, 60], range_max: [50, 80]}}",
    "{folder: ., pool: 3}", "{folder: x}", "{retrieval.ndcg@10: 1}", "{retrieval: -1}", "sts.spearman", "sts", "[tsdae]",
    "[{tsdae: {}}]", "[{tsdae: 5}]", "[5]", "[null]", "[{a: 1, b: 2}]", "- x", "? [a]\n: b", "%", "@", "`", "|", "> x",
    "{tsdae: finetune}", "{x: y}", "gate-tsdae", "base", "texts", "sts.spearman[x]", "2026-11-28", "0x10", "1_000", "no",
)  # fmt: skip
LETTERS = [chr(code) for code in (0, 9, 10, 27, 91, 93, 123, 125, 58, 35, 38, 42, 33, 0x202E, 0xD800, 0x1F600)]


def override(rng: random.Random) -> str:
    """A `--set` of one of the keys to one of the values, now and then without its equals sign."""
    return rng.choice(KEYS) + ("" if rng.random() < 0.05 else "=") + rng.choice(VALUES)


def mutated(text: str, rng: random.Random) -> str:
    """The text with one change: a letter in or out, a piece cut or repeated, lines moved, a value or word replaced."""
    start, end = sorted(rng.randrange(len(text)) for _ in range(2)) if text else (0, 0)
    kind = rng.randrange(8)
    if kind == 0:
        return text[:start] + rng.choice([*LETTERS, chr(rng.randrange(0x110000))]) + text[start:]
    if kind == 1:
        return text[:start] + text[end:]
    if kind == 2:
        lines = text.split("\n")
        lines.insert(rng.randrange(len(lines)), rng.choice(lines))
        return "\n".join(lines)
    values = list(re.finditer(r": ([^\n{,}\]]+)", text))
    if kind == 3 and values:
        chosen = rng.choice(values)
        return text[: chosen.start(1)] + rng.choice(VALUES) + text[chosen.end(1) :]
    if kind == 4:
        return text[:start]
    if kind == 5:
        piece = text[start : start + rng.randrange(30)]
        return text[:start] + piece * rng.randrange(1, 5) + text[start:]
    if kind == 6:
        return text.replace(rng.choice(["tsdae", "gold", "pairs", "sts", ": ", "- ", "{", "finetune"]), rng.choice(VALUES), 1)
    return text[:start] + text[start + 1 :]


def attack(text: str, rng: random.Random) -> tuple[bytes, list[str]]:
    """(a recipe's bytes, overrides): the recipe changed, its overrides hostile, or both."""
    changed, sets = text, []
    if rng.random() < 0.6:
        for _ in range(rng.randrange(1, 4)):
            changed = mutated(changed, rng)
    if changed == text or rng.random() < 0.3:
        sets = [override(rng) for _ in range(rng.randrange(1, 3))]
    data = changed.encode("utf-8", "surrogatepass")
    if rng.random() < 0.03:
        data = changed.encode(rng.choice(["utf-16", "utf-8-sig", "utf-32-le"]), "surrogatepass")
    return data, sets
