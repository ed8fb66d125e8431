"""Every old name in the table of aliases works in a recipe, in `--set`, in a sweep and as an option, and warns."""

import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner

from adapt import aliases, stages
from adapt.aliases import AliasWarning
from adapt.cli.stages import stage_command
from adapt.errors import UserError
from adapt.recipe import loading

# A valid old value of each setting that is not a number; numbers take 0.25 or, where they count, 2.
VALUES = {
    "scheduler": "cosine", "start": "tuned", "tied": True, "symmetric": True, "batching": "gathered", "distance": "cosine",
    "soft_margin": True, "in_batch": "semi-hard", "guide_bound": "absolute", "matryoshka_weights": [2.0], "mixing": "apart",
    "finders": ["bm25"], "strategy": "random", "calibrated": False, "target": "uniform", "patience": 2, "decoder_layers": 2,
    "negatives": 2, "per_text": 2, "per_document": 2,
}  # fmt: skip
LOSS_OF = {"scale": "cosent", "distance": "triplet", "margin": "triplet", "soft_margin": "triplet", "in_batch": "triplet"}
DATA = {
    "texts": "texts.jsonl",
    "gold": "gold.csv",
    "pairs": "pairs.jsonl",
    "parallel": "parallel.jsonl",
    "triplets": "triplets.jsonl",
}
OLD = [(stage, name) for stage in stages.built_in() for name in aliases.of_stage(stage) if (stage, name) != ("simcse", "held_out")]


def settings_for(stage, name):
    """Old settings of a stage, with the one of that name."""
    found = {name: VALUES.get(name, 0.25)}
    if stage == "finetune":
        loss = LOSS_OF.get(name, "mnrl")
        found |= {"examples": {"cosent": "gold", "triplet": "triplets"}.get(loss, "pairs"), "loss": loss}
        found |= {"matryoshka": [8]} if name == "matryoshka_weights" else {}
    if stage == "cross-encoder":
        found["pairs"] = "gold"
    return found


def value_of(stage, alias):
    """The value that an old setting has in a stage today."""
    return stage.value_at(alias.new)


@pytest.fixture
def recipe(tmp_path):
    """Writes a recipe with one step; returns its file."""
    rows = {
        "texts": '{"text": "The fever falls after a day."}\n', "gold": "sentence1,sentence2,score\na,b,0.5\n",
        "pairs": '{"anchor": "a", "positive": "b"}\n', "triplets": '{"anchor": "a", "positive": "b", "negative": "c"}\n',
        "parallel": '{"source": "a", "target": "b"}\n',
    }  # fmt: skip
    for name, text in rows.items():
        (tmp_path / DATA[name]).write_text(text)

    def write(step, more=""):
        data = "\n".join(f"  {name}: {file}" for name, file in DATA.items())
        file = tmp_path / "recipe.yaml"
        file.write_text(f"model: all-MiniLM-L6-v2\ndata:\n{data}\nstages:\n  - cross-encoder: {{pairs: gold}}\n{step}\n{more}")
        return str(file)

    return write


def written(value):
    from adapt.recipe.values import format_value

    return format_value(value).replace("'", "")


def step(stage, settings, step_id="step"):
    lines = [f"  - {stage}:", f"      id: {step_id}", *(f"      {name}: {written(value)}" for name, value in settings.items())]
    return "\n".join(lines)


def load(file, changes=()):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = loading.load(file, changes)
    return found, [str(w.message) for w in caught if issubclass(w.category, AliasWarning)]


def wanted(stage, name):
    """What the old setting is today: its path and its value."""
    alias = aliases.of_stage(stage)[name]
    return alias, alias.convert(VALUES.get(name, 0.25))


@pytest.mark.parametrize(("stage", "name"), OLD)
def test_an_old_setting_works_in_a_recipe_and_warns_once(recipe, stage, name):
    found, notes = load(recipe(step(stage, settings_for(stage, name))))
    alias, value = wanted(stage, name)
    value = tuple(value) if isinstance(value, list) else value
    assert value_of(found.steps[-1].stage, alias) == value
    assert sum(f"'{name}" in note and "still works" in note for note in notes) == 1 == len({n for n in notes if f"'{name}" in n})


@pytest.mark.parametrize(("stage", "name"), OLD)
def test_an_old_setting_works_in_set_and_in_a_sweep(recipe, stage, name):
    settings = settings_for(stage, name)
    value = settings.pop(name)
    alias, new = wanted(stage, name)
    new = tuple(new) if isinstance(new, list) else new
    file = recipe(step(stage, settings))
    found, notes = load(file, [f"stages.step.{name}={written(value)}"])
    assert value_of(found.steps[-1].stage, alias) == new and any(f"'{name}" in note for note in notes)
    more = f"checks:\n  sts: {{dev: gold.csv}}\ngate: {{target: sts.spearman}}\nsweep: {{step: {{{name}: [{written(value)}]}}}}\n"
    swept, notes = load(recipe(step(stage, settings), more))
    assert list(swept.sweep.items()) == [(("step", alias.new), [new])] and any(f"'{name}" in note for note in notes)


@pytest.mark.parametrize(("stage", "name"), [pair for pair in OLD if pair[1] != "mixing"])
def test_an_old_option_works_and_warns(monkeypatch, stage, name):
    made = []
    monkeypatch.setattr("adapt.cli.stages._one_stage", lambda stage, out, seed, overwrite, given: made.append((stage, given)))
    command = stage_command(stage)
    sources = [part for want in stages.find(stage).inputs() if want.required for part in (f"--{want.name.replace('_', '-')}", "x")]
    given = []
    for key, value in settings_for(stage, name).items():
        if key in ("examples", "pairs"):
            continue
        for one in value if isinstance(value, list) else [value]:
            given += [f"--{key.replace('_', '-')}", written(one)]
    result = CliRunner().invoke(command, [*sources, *given, "--out", "out.jsonl"])
    assert result.exit_code == 0, result.output
    from adapt.cli import stages as cli

    names = {want.name for want in stages.find(stage).inputs()}
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        built = cli._stage(made[0][0], {k: v for k, v in made[0][1].items() if k not in names})
    alias, value = wanted(stage, name)
    assert value_of(built, alias) == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize(("objective", "stage"), aliases.OBJECTIVES.items())
def test_an_objective_of_tsdae_is_a_stage_and_the_step_keeps_its_id(recipe, objective, stage):
    old = "  - tsdae: {objective: %s, start: auto, masked: 0.15, ridge: 1.0, scale: 20.0, decoder_layers: null, retain: null}"
    found, notes = load(recipe(old % objective))
    assert found.steps[-1].stage.name() == stage and found.steps[-1].id == "tsdae"
    assert any(objective in note for note in notes)
    changed, _ = load(recipe("  - tsdae: {max_steps: 3}"), [f"stages.tsdae.objective={objective}", "stages.tsdae.masked=0.2"])
    assert changed.steps[-1].stage.name() == stage and changed.steps[-1].stage.max_steps == 3
    if stage == "mlm":
        assert changed.steps[-1].stage.mask_ratio == 0.2


def test_a_sweep_over_objectives_still_works(recipe):
    from adapt.recipe.derive import variants

    more = "checks:\n  sts: {dev: gold.csv}\ngate: {target: sts.spearman}\nsweep: {tsdae: {objective: [denoise, mlm, vectors]}}\n"
    found, _ = load(recipe("  - tsdae: {max_steps: 3}", more))
    names = [variant.steps[-1].stage.name() for _, variant in variants(found)]
    assert names == ["tsdae", "mlm", "embedding-denoising"]
    assert {variant.steps[-1].stage.max_steps for _, variant in variants(found)} == {3}


def test_old_settings_at_their_defaults_are_accepted_for_every_loss(recipe):
    settings = {
        "examples": "gold", "loss": "cosine", "scale": 20, "symmetric": False, "margin": None, "soft_margin": False,
        "in_batch": "none", "distance": "squared", "batching": "spread", "negatives": 1, "positives_from": None,
        "guide_margin": 0.05, "guide_bound": "relative", "held_out": 0, "patience": 3, "matryoshka": [], "matryoshka_weights": [],
    }  # fmt: skip
    found, _ = load(recipe(step("finetune", settings)))
    assert found.steps[-1].stage.loss.name == "cosine"


def test_the_names_of_today_do_not_warn(recipe):
    new = "  - finetune: {examples: pairs, loss: {name: mnrl, scale: 30, batching: grouped}, early_stopping: {held_out: 0.1}}"
    found, notes = load(recipe(new), ["stages.finetune.loss.symmetric=true", "stages.finetune.optimizer.warmup_ratio=0.2"])
    stage = found.steps[-1].stage
    assert (stage.loss.scale, stage.loss.symmetric, stage.optimizer.warmup_ratio) == (30, True, 0.2) and not notes
    assert load("medical-recipe")[1] == load("smoke")[1] == []


def test_an_option_wins_over_the_recipe_by_either_name(recipe):
    old, new = "  - finetune: {examples: pairs, scale: 30}", "  - finetune: {examples: pairs, loss: {scale: 30}}"
    for text in (old, new):
        for option in ("scale=40", "loss.scale=40"):
            assert load(recipe(text), [f"stages.finetune.{option}"])[0].steps[-1].stage.loss.scale == 40
    # A loss that is changed keeps the settings that were given beside it, as before.
    kept = load(recipe("  - finetune: {examples: gold, loss: cosent, scale: 30}"), ["stages.finetune.loss=angle"])[0]
    assert (kept.steps[-1].stage.loss.name, kept.steps[-1].stage.loss.scale) == ("angle", 30)


def test_errors_of_old_names_point_to_their_lines(recipe):
    file = recipe(step("finetune", {"examples": "pairs", "loss": "mnrl", "scale": -1, "warmup": 2}))
    with pytest.warns(AliasWarning), pytest.raises(UserError) as caught:
        loading.load(file)
    lines = Path(file).read_text().splitlines()
    said = "\n".join(caught.value.problems)
    for key in ("scale", "warmup"):
        assert f"line {next(i for i, line in enumerate(lines, 1) if f' {key}:' in line)}:" in said
    with pytest.raises(UserError, match=r"line 14: 'scale' and 'loss.scale' are the same setting"), pytest.warns(AliasWarning):
        loading.load(recipe(step("finetune", {"examples": "pairs", "loss": {"name": "mnrl", "scale": 30}, "scale": 30})))
    with (
        pytest.raises(UserError, match=r"this loss has no setting 'symmetric'; it is a setting of mnrl"),
        pytest.warns(AliasWarning),
    ):
        loading.load(recipe("  - finetune: {examples: gold, loss: cosent, symmetric: true}"))
