import pytest

from adapt import recipe
from adapt.errors import UserError
from adapt.recipe import loading, yaml_lines

from ..conftest import SAMPLES


def test_every_problem_is_told_at_once_with_line_and_nearest_word():
    with pytest.raises(UserError) as caught:
        loading.load(str(SAMPLES / "recipes" / "many-problems.yaml"))
    said = caught.value.problems
    expected = (SAMPLES / "recipes" / "many-problems.expected").read_text().splitlines()
    for line in expected:
        assert any(line in problem for problem in said), line
    assert len(said) == len(expected)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("duplicate-key", "line 3: duplicate key 'model'"),
        ("alias", "line 2: aliases"),
        ("not-yaml", "not-yaml.yaml line 2"),
    ],
)
def test_yaml_itself_is_checked(name, words):
    with pytest.raises(UserError, match=words):
        loading.load(str(SAMPLES / "recipes" / f"{name}.yaml"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("no", "no"),
        ("true", True),
        ("012", 12),
        (".5", 0.5),
        ("null", None),
        ("1.2.3", "1.2.3"),
        ("2026-11-21", "2026-11-21"),
    ],
)
def test_plain_words_are_read_as_in_yaml_1_2(text, value):
    assert yaml_lines.parse(text) == value


def test_an_unknown_recipe_names_the_nearest_that_ships():
    with pytest.raises(UserError, match="Did you mean 'medical-recipe'"):
        loading.load("medical-recpe")


def test_every_recipe_that_ships_loads():
    found = recipe.shipped()
    assert {"medical-recipe", "smoke"} <= set(found)
    for name in found:
        loaded = loading.load(name)
        assert loaded.name == name and loaded.description and loaded.steps


def test_inputs_are_found_by_name_then_by_stand_in(recipe_file):
    steps = {step.id: step for step in loading.load(str(recipe_file)).steps}
    assert steps["cross-encoder"].inputs == {"model": ("model",), "pairs": ("gold",)}
    assert steps["silver"].inputs["cross_encoder"] == ("cross-encoder",)
    assert steps["mine"].inputs["corpus"] == ("texts",) and "cross_encoder" not in steps["mine"].inputs
    assert steps["finetune"].inputs["examples"] == ("triplets",)
    assert steps["augment"].inputs["examples"] == ("gold", "silver")


def test_set_changes_settings_by_step_id(recipe_file):
    loaded = loading.load(
        str(recipe_file), ["stages.augment.learning_rate=3e-6", "seed=9", "data.limit=5", "checks.sts=null", "gate=null"]
    )
    assert loaded.seed == 9 and loaded.limit == 5 and "sts" not in loaded.checks and loaded.gate is None
    assert [s.stage.learning_rate for s in loaded.steps if s.id == "augment"] == [3e-6]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("stages.finetun.epochs=2", "no step 'finetun'. Did you mean 'finetune'"),
        ("stages.finetune.epohs=2", "unknown setting 'epohs'. Did you mean 'epochs'"),
        ("stages.finetune.epochs=0", "--set stages.*greater than 0"),
        ("sead=2", "unknown key 'sead'. Did you mean 'seed'"),
        ("seed", "write path.to.setting=value"),
        ("stages.finetune.loss=cosent", "takes scored, but examples are triplets"),
    ],
)
def test_a_wrong_set_says_so(recipe_file, override, words):
    with pytest.raises(UserError, match=words):
        loading.load(str(recipe_file), [override])


def test_set_paths_start_where_the_user_stands(recipe_file, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "mine.jsonl").write_text('{"text": "x"}\n')
    monkeypatch.chdir(elsewhere)
    assert loading.load(str(recipe_file), ["data.texts=mine.jsonl"]).data["texts"] == str(elsewhere / "mine.jsonl")


def test_set_takes_a_mapping_with_paths_in_it(recipe_file, monkeypatch):
    monkeypatch.chdir(SAMPLES / "data")
    loaded = loading.load(str(recipe_file), ["checks.retrieval.test={folder: beir, pool: 2}"])
    assert loaded.checks["retrieval"].test == {"folder": str(SAMPLES / "data" / "beir"), "pool": 2}
