"""What a recipe may not hold: each is refused before anything is made, with the file's line or the `--set` that it came by."""

import os

import pytest

from adapt.errors import UserError
from adapt.recipe import combinations, loading, overrides, variants, yaml_lines
from adapt.recipe.problems import Problems


def refused(recipe_file, *changes):
    with pytest.raises(UserError) as caught:
        loading.load(str(recipe_file), changes)
    return caught.value.problems


@pytest.mark.parametrize(
    ("change", "words"),
    [
        # names and ids that leave the run folder, or take what belongs to others
        ("stages.tsdae.id=../up", "becomes a folder's name"),
        ("stages.tsdae.id=/elsewhere/x", "becomes a folder's name"),
        ("stages.tsdae.id=.hidden", "becomes a folder's name"),
        ("stages.tsdae.id=", "must be a string (got null)"),
        ("stages.tsdae.id=[a]", "must be a string (got ['a'])"),
        ("stages.tsdae.id=" + "y" * 65, "longer than 64 bytes"),
        ("stages.tsdae.id=base", "refers to the model"),
        ("stages.tsdae.id=texts", "refers to the data"),
        ("stages.tsdae.id=gate-finetune", "can't begin with gate-"),
        ("name=../../x", "becomes a folder's name"),
        ("name=/elsewhere/x", "becomes a folder's name"),
        ("name=..", "becomes a folder's name"),
        ("name=5", "must be a string (got 5)"),
        ("name=" + "ß" * 100, "longer than 128 bytes"),
        ("description=[a]", "must be a string"),
        ("checks={a.sts: {dev: sts-dev.csv}}", "has a dot"),
        # numbers
        ("seed=-1", "0 or more (got -1)"),
        ("seed=true", "0 or more (got true)"),
        ("seed=4294967296", "4294967295 or less"),
        ("seed=" + "9" * 5000, "is too large"),
        ("stages.finetune.learning_rate=.nan", "expected a number (got '.nan')"),
        ("stages.finetune.learning_rate=nan", "expected a number (got 'nan')"),
        ("stages.finetune.learning_rate=1e999", "is too large"),
        ("stages.finetune.learning_rate=-.inf", "expected a number"),
        ("stages.finetune.warmup=1.5", "less than or equal to 1"),
        ("stages.finetune.batch_size=2147483648", "must be 2147483647 or less"),
        ("gate.guard.sts.spearman=.inf", "expected a number"),
        ("data.limit=true", "1 or more (got true)"),
        ("data.limit=2.5", "1 or more (got 2.5)"),
        ("data.limit=0", "1 or more (got 0)"),
        # types
        ("stages.finetune.epochs=true", "expected a whole number (got true)"),
        ("stages.finetune.epochs='3'", "expected a whole number (got '3')"),
        ("stages.finetune.epochs=1.5", "expected a whole number (got 1.5)"),
        ("stages.finetune.epochs=null", "expected a whole number (got null)"),
        ("stages.finetune.max_steps=[3]", "expected a whole number (got [3])"),
        ("stages.finetune.symmetric=1", "expected true or false (got 1)"),
        ("stages.finetune.learning_rate=true", "expected a number (got true)"),
        ("stages.mine.retrievers=bm25", "expected a list"),
        ("stages.mine.retrievers={bm25: 1}", "expected a list"),
        ("stages.mine.retrievers=[bm25, 5]", "can't be 5"),
        ("stages.tsdae=5", "must be a mapping"),
        ("stages=5", "must be a list"),
        ("stages=[5]", "unknown stage '5'"),
        ("data=5", "'data' must be a mapping"),
        ("checks=5", "'checks' must be a mapping"),
        ("checks=0", "'checks' must be a mapping"),
        ("gate=5", "'gate' must be a mapping"),
        ("gate.target=[a]", "expected a string (got ['a'])"),
        ("gate.target=sts", "names no metric; write check.metric, for example sts.spearman"),
        ("gate.target=sts.spearman[", "write a topic in brackets, as in sts.spearman[cardiology]"),
        ("gate.target=sts.spearman[]", "write a topic in brackets"),
        ("gate.guard={'sts.spearman[a]b': -0.1}", "write a topic in brackets"),
        ("gate.later={tsdae: [finetune]}", "expected a string"),
        ("sweep=5", "must be {step: {setting: [values to try]}}"),
        ("model=5", "must name the base model"),
        ("model=", "must name the base model"),
        # ranges
        ("stages.tsdae.max_length=2", "input should be greater than or equal to 4"),
        ("stages.mine.range_min=50", "leaves nothing up to range_max"),
        ("stages.tsdae.min_words=101", "min_words 101 is more than max_words 100"),
        ("stages.silver.max_words=2", "min_words 5 is more than max_words 2"),
        # what steps take
        ("stages.augment.examples=[]", "is empty"),
        ("stages.augment.examples={}", "is empty"),
        ("stages.augment.examples=[gold, gold]", "contains a name twice"),
        ("stages.augment.examples=[5]", "must be a name or a list of names"),
        ("stages.augment.examples={gold: a, silver: b}", "expected a number"),
        ("stages.mine.pairs={pairs: 1}", "must be a name or a list of names"),
        ("stages.mine.miner=[model, base]", "takes one model"),
        # data
        ("data.texts=" + "y" * 5000, "the path is too long"),
        ("data.texts=~nobody-of-this-name/x", "no such user"),
        ("data.texts=/dev/null", "is a device, expected a regular file"),
        ("data.texts=hf://a", "write hf://owner/name/split"),
        ("checks.retrieval.dev.pool=many", "'pool' must be a whole number"),
        ("checks.retrieval.dev.at=[0]", "'at' must be a list of ranks"),
        ("checks.retrieval.dev.folders=dev", "unknown key 'folders'. Did you mean 'folder'?"),
        ("checks.sts.dev={folder: dev}", "the data of a check of kind 'sts' must be a file"),
        # the notation itself
        ("gate={target: x, target: y}", "duplicate key 'target'"),
        ("stages.finetune={batch-size: 1, batch_size: 2}", "once with - and once with _"),
        ("gate=[&a 1, *a]", "aliases"),
        ("gate=!!python/object/apply:os.getcwd []", "tags"),
        ("gate=" + "[" * 2000 + "]" * 2000, "nested deeper than 20 levels"),
        ("gate={[a]: b}", "a key must be a string"),
        ('description="\\0"', "control character"),
        ('description="\\ud800"', "half of a surrogate pair"),
        ("stages..x=1", "write path.to.setting=value"),
        ("seed.x=1", "'seed' is 3, which has no 'x'"),
        ("stages.²=1", "no step '²'"),
    ],
)
def test_a_hostile_override_is_one_sentence_with_its_key(recipe_file, change, words):
    said = refused(recipe_file, change)
    key = change.partition("=")[0]
    assert words in said[0] and "--set" in said[0] and (key in said[0] or ".." in key), said
    assert (
        len(said) == 1 or change.split("=")[0] in ("stages", "data", "checks", "gate", "gate.target", "sweep") or "id=" in change
    ), said


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("name: café\n".encode("latin-1"), r"line 1: byte 0xe9 is not UTF-8"),
        (b"name: a\nmodel: b\ndescription: \xff\n", r"line 3: byte 0xff is not UTF-8"),
        ("name: a\n".encode("utf-16"), "is UTF-16 text"),
        (b"name: a\nmodel: \x00b\n", r"line 2: contains a control character \(code 0x0\)"),
        (b"name: a\x1b[31m\n", r"line 1: contains a control character \(code 0x1b\)"),
        (b"", "a recipe is a mapping"),
        (b"- a\n", "a recipe is a mapping"),
        (b"#" * 300_000, "larger than 256 KB"),
        (b"a: " + b"[" * 5_000, "line 1: is nested deeper than 20 levels"),
        (b"a: &x [1]\nb: [*x, *x]\n", "line 2: aliases"),
        (b"a: 1\n---\nb: 2\n", "line 2, column 1: is not YAML"),
        (b'a: "\\UFFFFFFFF"\n', "is not YAML"),
    ],
)
def test_a_file_that_is_no_recipe_says_why_and_where(tmp_path, data, words):
    (tmp_path / "r.yaml").write_bytes(data)
    with pytest.raises(UserError, match=words) as caught:
        loading.load(str(tmp_path / "r.yaml"))
    assert all("r.yaml" in problem for problem in caught.value.problems)


def test_what_is_no_file_is_said_so(tmp_path):
    for name, words in (
        (tmp_path, "a folder without recipe.yaml"), ("y" * 5_000, "the path is too long"), ("/dev/null", "no regular file"),
        ("~nobody-of-this-name/r.yaml", "no such user"), ("", "no such file"), (tmp_path / "none.yaml", "no such file"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=words):
            loading.load(str(name))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_recipe_says_so(recipe_file):
    recipe_file.chmod(0)
    with pytest.raises(UserError, match="permission denied"):
        loading.load(str(recipe_file))


def test_a_sweep_is_counted_and_bounded_before_it_is_made(recipe_file):
    forty = str(list(range(1, 41)))
    said = refused(
        recipe_file, f"sweep={{finetune: {{max_steps: {forty}, batch_size: {forty}, epochs: {forty}, negatives: {forty}}}}}"
    )
    assert len(said) == 1 and "2,560,000 combinations (max_steps 40 × batch_size 40" in said[0]
    over = ["sweep={finetune: {epochs: [1, 2, 3]}}", "max_combinations=2"]
    assert "3 combinations (epochs 3) are more than 2" in refused(recipe_file, *over)[0]
    loaded = loading.load(str(recipe_file), [over[0], "max_combinations=3"])
    assert combinations(loaded) == len(variants(loaded)) == 3
    assert "1 or more (got 0)" in refused(recipe_file, "max_combinations=0")[0]


def test_every_combination_of_a_sweep_is_checked_as_if_it_stood_in_the_recipe(recipe_file):
    said = refused(recipe_file, "sweep={mine: {range_min: [0, 60], range_max: [50, 80]}}")
    assert len(said) == 1 and "step 'mine' with range_min 60, range_max 50: range_min 60 leaves nothing" in said[0]
    # a value that fits only beside another one's is fine where that other is always there
    assert combinations(loading.load(str(recipe_file), ["sweep={mine: {range_min: [60], range_max: [70, 80]}}"])) == 2
    assert "expected a whole number (got true)" in refused(recipe_file, "sweep={finetune: {epochs: [1, true]}}")[0]
    assert "duplicate value" in refused(recipe_file, "sweep={finetune: {epochs: [1, 1]}}")[0]


def test_what_is_written_well_still_loads(recipe_file):
    loaded = loading.load(
        str(recipe_file),
        [
            "name=My recipe (v1.2)", "stages.silver.pairs=1e3", "stages.silver.calibrated=True", "stages.mine.max_share=null",
            "stages.finetune.learning_rate=1", "gate.guard.sts.spearman=-0.02", "stages.tsdae.id=ärzte_v1.2",
            "checks.retrieval.dev.pool=3", "stages.augment.examples={gold: 0.5, silver: 0.5}",
        ],
    )  # fmt: skip
    steps = {step.id: step.stage for step in loaded.steps}
    assert steps["silver"].pairs == 1000 and steps["silver"].calibrate is True and steps["mine"].relative_margin is None
    assert loaded.name == "My recipe (v1.2)" and "ärzte_v1.2" in steps and loaded.gate.guard == {"sts.spearman": -0.02}
    assert loaded.checks["retrieval"].dev["pool"] == 3 and steps["augment"].shares == (0.5, 0.5)


def test_words_of_the_command_line_that_are_files_too_stay_words(recipe_file, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in ("target", "sts", "guard"):
        (elsewhere / name).mkdir()
    monkeypatch.chdir(elsewhere)
    assert loading.load(str(recipe_file), ["checks.sts.role=guard", "checks.sts.kind=sts"]).checks["sts"].role == "guard"


def test_a_text_that_is_no_yaml_is_a_text_on_the_command_line(tmp_path):
    assert yaml_lines.parse("[a") == "[a" and yaml_lines.parse("%x") == "%x"
    problems = Problems(tmp_path, {})
    overrides.apply("description=\x00", {}, problems)
    assert "control character" in problems.messages[0]
