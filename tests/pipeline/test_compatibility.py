"""What is known before a run is said before the run: further models, what a base can't do, data that can't be read."""

import json
import shutil

import pytest

from adapt.errors import UserError
from adapt.pipeline import input_report, plan
from adapt.pipeline.runner import run
from adapt.recipe import loading
from adapt.storage.store import Store

from .. import tiny


@pytest.fixture
def base_of(domain, embedder):
    """base_of(**config): a copy of the embedder whose config.json says something else."""

    def base_of(**config):
        folder = domain / "base"
        shutil.copytree(embedder, folder, dirs_exist_ok=True)
        known = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(known | config))
        return folder

    return base_of


def planned(recipe_file, tmp_path, *changes):
    return plan.all_artifacts(loading.load(str(recipe_file), changes), Store(tmp_path / "run"))


@pytest.mark.parametrize(
    ("architecture", "change", "words"),
    [
        (
            "mpnet",
            "stages.tsdae.objective=denoise",
            "tsdae needs a decoder with cross-attention, and 'mpnet' has none",
        ),
        ("llama", "stages.tsdae.objective=denoise", "'llama' has none"),
        ("llama", "stages.tsdae.objective=mlm", "mlm needs a masked-language-model head, and 'llama' has none"),
        ("bert", "stages.cross-encoder.max_length=65", "max_length 65 is more than the 64 tokens that the model supports"),
        ("roberta", "stages.silver.max_length=63", "max_length 63 is more than the 62 tokens"),
    ],
)
def test_a_step_that_the_base_cannot_do_is_refused_in_the_plan(recipe_file, tmp_path, base_of, architecture, change, words):
    base = f"model={base_of(model_type=architecture)}"
    others = [] if "tsdae" in change or architecture in ("bert", "roberta") else ["stages.tsdae.objective=simcse"]
    with pytest.raises(UserError, match=words) as caught:
        planned(recipe_file, tmp_path, base, change, *others)
    assert len(caught.value.problems) == 1 and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("architecture", "change"),
    [
        ("bert", "stages.tsdae.objective=denoise"), ("mpnet", "stages.tsdae.objective=mlm"),
        ("llama", "stages.tsdae.objective=simcse"),
        ("llama", "stages.tsdae.objective=vectors"), ("bert", "stages.cross-encoder.max_length=64"),
        ("bert", "seed=3"),  # the default of max_length is cut to what the model can read
    ],
)  # fmt: skip
def test_what_the_base_can_do_is_planned(recipe_file, tmp_path, base_of, architecture, change):
    assert planned(recipe_file, tmp_path, f"model={base_of(model_type=architecture)}", change)


def test_embedding_denoising_refuses_a_plain_language_model(recipe_file, tmp_path, language_model):
    change = ["stages.tsdae.objective=vectors", f"model={language_model}"]
    with pytest.raises(UserError, match="the base is no embedding model"):
        planned(recipe_file, tmp_path, *change)


def test_a_step_takes_a_model_by_its_path(recipe_file, tmp_path, embedder):
    other = shutil.copytree(embedder, tmp_path / "other")
    lines = {line.name: line for line in planned(recipe_file, tmp_path, f"stages.mine.miner={other}")}
    same = {line.name: line for line in planned(recipe_file, tmp_path, f"stages.mine.miner={embedder}")}
    assert lines["mine"].inputs["miner"] == same["mine"].inputs["miner"]  # equal weights, wherever they are
    assert "miner" not in {line.name: line for line in planned(recipe_file, tmp_path)}["mine"].inputs
    (other / "config.json").write_text((other / "config.json").read_text() + " ")
    changed = {line.name: line for line in planned(recipe_file, tmp_path, f"stages.mine.miner={other}")}
    assert changed["mine"].key != lines["mine"].key


def test_a_further_model_that_is_missing_or_of_the_wrong_kind_is_refused(recipe_file, tmp_path, embedder):
    with pytest.raises(UserError, match=r"step 'mine': miner: model './none' was not found"):
        planned(recipe_file, tmp_path, "stages.mine.miner=./none")
    change = [f"stages.mine.cross_encoder={embedder}", "stages.mine.max_judged=0.5"]
    with pytest.raises(UserError, match="is no cross-encoder, but an encoder"):
        planned(recipe_file, tmp_path, *change)
    with pytest.raises(
        UserError, match=r"miner: 'cross-encodr' is not defined by 'data' or an earlier step\. Did you mean 'cross-encoder'"
    ):
        planned(recipe_file, tmp_path, "stages.mine.miner=cross-encodr")


def test_a_run_with_a_further_model_mines_with_it(recipe_file, tmp_path, base_of):
    other = base_of()
    found = run(loading.load(str(recipe_file), [f"stages=[{{mine: {{miner: {other}}}}}]"]), tmp_path / "run", until="mine")
    assert found.step("mine").rows > 0


def test_bad_rows_of_every_file_are_told_without_a_run(recipe_file, domain):
    (domain / "texts.jsonl").write_text('{"text": "a"}\n{"text": \n')
    (domain / "sts-test.csv").write_text("sentence1,sentence2,score\na,b,nine\n")
    (domain / "dev" / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq30\tp1\tmuch\n")
    with pytest.raises(UserError) as caught:
        input_report.preview(loading.load(str(recipe_file)))
    said = "\n".join(caught.value.problems)
    assert "texts.jsonl line 2" in said and "sts-test.csv line 2" in said and "dev.tsv line 2" in said


def test_the_width_of_a_model_is_known_by_its_files_alone(language_model, bundled, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules.pooling import Pooling

    from adapt.models.bi_encoder import load_encoder, save_encoder
    from adapt.models.model_folder import embedding_dimension

    made = {
        "plain": language_model,
        "bundled": bundled,
        "unit": tiny.embedder(language_model, tmp_path / "unit"),
        "dense": tiny.embedder(language_model, tmp_path / "dense", dense=24),
        "static": tiny.static(tmp_path / "static", 20),
    }
    several = load_encoder(made["unit"])
    several[1] = Pooling(32, ["mean", "max"])
    made["several"] = save_encoder(several, tmp_path / "several")
    several.save_pretrained(str(tmp_path / "newer"), create_model_card=False)
    made["newer"] = tmp_path / "newer"
    for name in ("unit", "dense", "several"):
        for kept in (8, 1_000):
            made[f"{name} {kept}"] = short = tmp_path / f"{name}-{kept}"
            shutil.copytree(made[name], short)
            settings = json.loads((short / "config_sentence_transformers.json").read_text())
            (short / "config_sentence_transformers.json").write_text(json.dumps(settings | {"truncate_dim": kept}))
    found = {name: embedding_dimension(folder) for name, folder in made.items()}
    assert found == {
        name: load_encoder(folder).get_embedding_dimension()
        if name == "plain"
        else SentenceTransformer(str(folder), device="cpu").get_embedding_dimension()
        for name, folder in made.items()
    }
    assert embedding_dimension(tmp_path) is None  # no model


AFTER_SIMCSE = "[{tsdae: {objective: simcse}}, {finetune: {matryoshka: [%d]}}]"


@pytest.mark.parametrize("stages", ["[{finetune: {matryoshka: [16, %d]}}]", AFTER_SIMCSE])
@pytest.mark.parametrize("kept", [None, 8, 24])
def test_matryoshka_wider_than_the_base_is_refused_in_the_plan(recipe_file, tmp_path, domain, embedder, stages, kept):
    base = shutil.copytree(embedder, domain / "base")
    settings = json.loads((base / "config_sentence_transformers.json").read_text())
    (base / "config_sentence_transformers.json").write_text(json.dumps(settings | {"truncate_dim": kept}))
    limit = kept or 32
    stages = stages.replace("16", str(limit // 2))
    change = stages.replace("finetune: {", "finetune: {examples: pairs, ")
    assert planned(recipe_file, tmp_path, f"model={base}", f"stages={change % limit}")
    with pytest.raises(
        UserError, match=rf"step 'finetune': matryoshka {limit + 1} is more than the model's own dimension, {limit}"
    ):
        planned(recipe_file, tmp_path, f"model={base}", f"stages={change % (limit + 1)}")
    swept = [f"stages={change % limit}", f"sweep={{finetune: {{matryoshka: [[4], [{limit + 1}]]}}}}"]
    with pytest.raises(UserError, match=f"matryoshka {limit + 1} is more"):
        planned(recipe_file, tmp_path, f"model={base}", *swept)


def test_a_margin_that_no_two_vectors_of_the_base_can_meet_is_refused_in_the_plan(recipe_file, tmp_path):
    change = "stages=[{finetune: {examples: pairs, loss: triplet, in_batch: all, distance: manhattan, margin: %s}}]"
    assert planned(recipe_file, tmp_path, change % "11")  # 2 * sqrt(32) = 11.3
    with pytest.raises(UserError, match=r"margin 12 can't be met"):
        planned(recipe_file, tmp_path, change % "12")


def test_a_teacher_of_another_width_is_refused_in_the_plan(recipe_file, tmp_path, domain, language_model):
    (domain / "parallel.jsonl").write_text('{"source": "a fever", "target": "ein Fieber"}\n' * 4)
    teachers = {dense: tiny.embedder(language_model, domain / f"teacher-{dense}", dense=dense) for dense in (24, 32)}
    change = ["data.parallel=%s" % (domain / "parallel.jsonl"), "stages=[{align: {teacher: %s}}]"]
    assert planned(recipe_file, tmp_path, change[0], change[1] % teachers[32])
    with pytest.raises(UserError, match="step 'align': the teacher's embeddings have 24 dimensions, the model's 32"):
        planned(recipe_file, tmp_path, change[0], change[1] % teachers[24])


def test_a_base_whose_embeddings_do_not_fit_its_decoder_is_refused_in_the_plan(recipe_file, tmp_path, domain, language_model):
    bases = {dense: tiny.embedder(language_model, domain / f"base-{dense}", dense=dense) for dense in (24, 32)}
    change = "stages=[{tsdae: {%s}}]"
    assert planned(recipe_file, tmp_path, f"model={bases[32]}", change % "")
    with pytest.raises(UserError, match=r"step 'tsdae': the base gives embeddings of 24 .* needs 32; use embedding-denoising"):
        planned(recipe_file, tmp_path, f"model={bases[24]}", change % "")
    assert planned(recipe_file, tmp_path, f"model={bases[24]}", change % "objective: simcse")


def test_a_width_is_not_taken_for_known_after_a_step_that_pools_in_another_way(recipe_file, tmp_path, domain, language_model):
    base = tiny.embedder(language_model, domain / "base-24", dense=24)
    steps = "stages=[{tsdae: {id: first, objective: simcse, pooling: %s}}, {finetune: {examples: pairs, matryoshka: [30]}}]"
    assert planned(recipe_file, tmp_path, f"model={base}", steps % "max")
    with pytest.raises(UserError, match="matryoshka 30 is more"):
        planned(recipe_file, tmp_path, f"model={base}", steps % "base")
