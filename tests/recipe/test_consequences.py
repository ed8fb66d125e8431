"""One mistake is one problem: what only follows from it, in a later step, the gate or a sweep, is not reported beside it."""

import re

import pytest
import yaml

from adapt.errors import UserError
from adapt.recipe import loading

STEPS = ("tsdae", "cross-encoder", "silver", "augment", "mine", "finetune")


def problems(recipe_file, change):
    raw = yaml.safe_load(recipe_file.read_text())
    change(raw)
    recipe_file.write_text(yaml.safe_dump(raw, sort_keys=False))
    with pytest.raises(UserError) as caught:
        loading.load(str(recipe_file))
    return caught.value.problems


def of_step(raw, step):
    """(number, word, settings) of a step by id."""
    found = [(i, *next(iter(item.items()))) for i, item in enumerate(raw["stages"])]
    return next((i, word, settings) for i, word, settings in found if settings.get("id", word) == step)


def referred(raw):
    """Have every step named by what comes after it, by the gate, and by a sweep."""
    raw["gate"]["later"] = {"tsdae": "finetune"}
    raw["sweep"] = {step: {"seeds" if step == "cross-encoder" else "max_steps": [1, 2]} for step in ("cross-encoder", "augment")}
    raw["sweep"] |= {"mine": {"negatives": [1, 2]}, "silver": {"pairs": [10, 20]}}
    of_step(raw, "silver")[2]["cross_encoder"] = "cross-encoder"
    of_step(raw, "mine")[2].update(cross_encoder="cross-encoder", miner="augment")
    of_step(raw, "finetune")[2]["examples"] = "triplets"


NUMBERS = {"silver": "pairs", "mine": "negatives"}
BROKEN = {
    "unknown setting": lambda raw, i, word, settings: settings.update(max_stps=3),
    "unknown setting like none": lambda raw, i, word, settings: settings.update(zzzzzz=3),
    "wrong type": lambda raw, i, word, settings: settings.update({NUMBERS.get(word, "batch_size"): "x"}),
    "no mapping": lambda raw, i, word, settings: raw["stages"].__setitem__(i, {word: 5}),
    "misspelt stage": lambda raw, i, word, settings: raw["stages"].__setitem__(i, {word[:-1] + "x": settings}),
    "unknown stage": lambda raw, i, word, settings: raw["stages"].__setitem__(i, {"qqqqqq": settings}),
    "two words": lambda raw, i, word, settings: raw["stages"].__setitem__(i, {word: settings, "more": 1}),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_step_is_one_problem_whoever_refers_to_it(recipe_file, step, how):
    def change(raw):
        referred(raw)
        number, word, settings = of_step(raw, step)
        BROKEN[how](raw, number, word, settings)

    found = problems(recipe_file, change)
    assert len(found) == 1 and re.search(r"recipe.yaml line \d+: ", found[0]), found


@pytest.mark.parametrize("step", ["tsdae", "cross-encoder", "silver", "mine"])
def test_a_bad_id_is_one_problem_whoever_refers_to_the_step_by_its_product(recipe_file, step):
    def change(raw):
        of_step(raw, step)[2]["id"] = "../up"

    assert len(problems(recipe_file, change)) == 1


OTHERS = {
    "misspelt data": (lambda raw: raw["data"].update(txts=raw["data"].pop("texts")), "unknown data 'txts'. Did you mean 'texts'?"),
    "data like none": (lambda raw: raw["data"].update(qqq=raw["data"].pop("texts")), "unknown data 'qqq'"),
    "data that are not there": (lambda raw: raw["data"].update(gold="no.csv"), "no such file"),
    "columns of misspelt data": (
        lambda raw: raw["data"].update(pear=raw["data"].pop("pairs"), columns={"pear": {"anchor": "q"}}), "unknown data 'pear'",
    ),
    "a check of no kind": (lambda raw: raw["checks"].update(retrieval={"kind": "x", "dev": "dev"}), "is of no known kind"),
    "a check that is not there": (lambda raw: raw["checks"]["retrieval"].update(dev="no"), "no such file"),
    "a gate that is refused, and a sweep": (
        lambda raw: raw.update(gate={**raw["gate"], "action": "hope"}, sweep={"mine": {"negatives": [1, 2]}}), "action can't be",
    ),
    "an input that is nowhere": (
        lambda raw: of_step(raw, "augment")[2].update(examples=["gold", "slver"]), "'slver' is not defined by",
    ),
    "an input of another kind": (lambda raw: of_step(raw, "augment")[2].update(examples=["gold", "texts"]), "but 'texts' is texts"),
    "a model that is nowhere": (
        lambda raw: of_step(raw, "silver")[2].update(model="modl", sampling=["dense"]), "'modl' is not defined by",
    ),
    "a misspelt input": (lambda raw: of_step(raw, "mine")[2].update(pars="pairs"), "unknown setting 'pars'"),
    "a bad value in a sweep": (
        lambda raw: raw.update(sweep={"mine": {"negatives": [1, "x"]}}), "negatives: expected a whole number (got 'x')",
    ),
    "a step with a bad input, swept": (
        lambda raw: (
            of_step(raw, "silver")[2].update(model="modl")
            or raw.update(sweep={"silver": {"sampling": [["dense"], ["bm25"]]}})
        ),
        "'modl' is not defined by",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_else_is_broken_is_one_problem(recipe_file, name):
    change, words = OTHERS[name]
    found = problems(recipe_file, change)
    assert len(found) == 1 and words in found[0], found


def test_two_mistakes_are_two_problems(recipe_file):
    def change(raw):
        of_step(raw, "silver")[2]["pairs"] = "many"
        of_step(raw, "augment")[2]["examples"] = ["gold", "silver", "slver"]
        of_step(raw, "mine")[2]["negativs"] = 3

    found = problems(recipe_file, change)
    assert [problem.split(": ", 2)[1] for problem in found] == ["step 'silver'", "step 'augment'", "step 'mine'"]
