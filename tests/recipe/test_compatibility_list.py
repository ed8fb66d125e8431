"""Recipes, `--set` paths and commands of earlier versions: each still parses. Add to these lists; never change an entry."""

import shlex

import pytest
import yaml

from adapt.recipe import loading

from ..conftest import SAMPLES

OLD = SAMPLES / "compatibility"  # recipes and ablation arms as they were, some keys under earlier names
SET_PATHS = (
    "seed=7", "name=mine", "description=a trial", "model=all-MiniLM-L6-v2", "data.limit=2000", "data.leaks=stop",
    "data.on_bad_row=skip", "data.max_line_mb=1", "data.max_cell_mb=1", "data.max_expansion=10", "data.score_range=[0, 5]",
    "data.columns.gold={sentence1: a, sentence2: b}", "checks.sts=null", "checks.retrieval.dev.pool=500",
    "checks.retrieval.test.at=[1, 10]", "checks.sts.role=guard", "gate=null", "gate.target=sts.spearman",
    "gate.guard.general-sts.spearman=-0.02", "gate.transfer={sts.spearman: 0.5}", "gate.action=revert", "gate.grid=[1.0, 0.5]",
    "gate.later={tsdae: finetune}", "stages.tsdae.deletion_ratio=0.5", "stages.tsdae.max_steps=5", "stages.0.max_steps=5",
    "stages.tsdae.objective=vectors", "stages.tsdae.max_length=64", "stages.tsdae.decoder_layers=2", "stages.cross-encoder.seeds=2",
    "stages.silver.sampling=[bm25, random]", "stages.silver.pairs=100", "stages.augment.learning_rate=2e-5",
    "stages.augment.examples={gold: 0.5, silver: 0.5}", "stages.mine.finders=[bm25]", "stages.mine.max_share=0.9",
    "stages.mine.margin=0.05", "stages.mine.range_max=60", "stages.mine.strategy=random", "stages.mine.language=german",
    "stages.finetune.epochs=2", "stages.finetune.learning_rate=2e-5", "stages.finetune.max_length=128",
    "stages.finetune.batching=spread", "stages.finetune.symmetric=true", "stages.finetune.matryoshka=[128, 64]",
    "stages.finetune.retain=1", "stages.finetune.lora_rank=8", "stages.finetune.scale=20", "stages.finetune.precision=fp32",
    "stages.finetune.token_budget=4096", "sweep={finetune: {epochs: [1, 2]}}", "sweep={mine: {finders: [[bm25], [dense]]}}",
)  # fmt: skip
COMMANDS = (
    "adapt run medical-recipe",
    "adapt run medical-recipe --dry-run --verify",
    "adapt run medical-recipe --dry-run --set stages.finetune.learning_rate=2e-5",
    "adapt run medical-recipe --out runs/x --until tsdae --fresh tsdae --seeds 3 --nproc 2 --precision fp32",
    "adapt run mydomain --set 'checks.retrieval.dev={folder: medquad, pool: 500}' --set data.pairs=train.jsonl.gz",
    "adapt ablate medical-recipe --only tsdae --only mine --split test --json",
    "adapt recipes",
    "adapt report runs/medical-recipe",
    "adapt init mydomain --texts notes.jsonl --pairs questions.jsonl --gold scored.csv --model all-MiniLM-L6-v2",
    "adapt hold-out --texts passages.jsonl --out held-out --queries 100 --form title-body --seed 7",
    "adapt label --texts passages.jsonl --out sheet.csv --gold gold.csv --recipe mydomain --pairs 50",
    "adapt label --read sheet.csv --out gold.csv --scale 0-5",
    "adapt check --model all-MiniLM-L6-v2 --sts sts-test.csv --retrieval test --split dev --json",
    "adapt check --model all-MiniLM-L6-v2 --sts sts-test.csv --mteb results --task sts=STSBenchmark",
    "adapt check --model m --classification a --clustering b --pairs c --reranking d --translation e --triplets f --recipe r",
    "adapt compare --model in-service --model candidate --recipe mydomain --promote",
    "adapt compare --model all-MiniLM-L6-v2 --model tuned --sts sts-test.csv --json",
    "adapt embed --model all-MiniLM-L6-v2 --texts passages.jsonl --out vectors.npy --precision int8 --overwrite",
    "adapt search --model runs/mydomain/model --corpus notes.jsonl --top 3 'a question of yours'",
    "adapt tsdae --model all-MiniLM-L6-v2 --texts passages.jsonl --out speaks-medical --max-steps 20",
    "adapt tsdae --model m --texts t.jsonl --out o --objective vectors --max-length 64",
    "adapt pairs --texts passages.jsonl --out pseudo.jsonl --pairs 300",
    "adapt cross-encoder --model all-MiniLM-L6-v2 --pairs gold.csv --out labeller --epochs 1",
    "adapt silver --texts passages.jsonl --cross-encoder labeller --model m --out silver.csv --pairs 500",
    "adapt mine --pairs pairs.jsonl --corpus passages.jsonl --model all-MiniLM-L6-v2 --out triplets.jsonl --finders bm25",
    "adapt finetune --model all-MiniLM-L6-v2 --examples triplets.jsonl --loss mnrl --batching gathered --out tuned",
    "adapt blend --model tuned --other all-MiniLM-L6-v2 --share 0.5 --out blended",
    "adapt align --model all-MiniLM-L6-v2 --parallel en-fr.csv --out aligned --max-steps 5 --on-bad-row skip --force",
    "adapt pairs --texts t.csv --out p.jsonl --column text=Notiz --max-line-mb 1 --max-cell-mb 2 --score-range 0 5",
)


@pytest.mark.parametrize("name", ["medical-recipe", "smoke"])
def test_an_old_recipe_loads(name):
    assert loading.load(str(OLD / f"{name}.yaml")).steps


@pytest.mark.parametrize("path", SET_PATHS)
def test_an_old_set_path_is_accepted(path):
    assert loading.load(str(OLD / "medical-recipe.yaml"), [path])


@pytest.mark.parametrize("corpus", ["medquad", "ehr-rel"])
def test_the_arms_of_the_ablation_load(corpus, tmp_path):
    part = yaml.safe_load((OLD / "ablation.yaml").read_text())[corpus]
    for source in [*part["base"]["data"].values(), *(check["test"] for check in part["base"]["checks"].values())]:
        (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / source).touch()
    for name, steps in part["arms"].items():
        with open(tmp_path / "arm.yaml", "w") as file:
            yaml.dump({**part["base"], "name": corpus, "stages": steps}, file, Dumper=_WithoutAliases)
        assert loading.load(str(tmp_path / "arm.yaml")).steps, name


@pytest.mark.parametrize("line", COMMANDS)
def test_an_old_command_line_parses(line):
    from adapt.cli import cli

    _, name, *arguments = shlex.split(line)
    command = cli.get_command(cli.make_context("adapt", ["recipes"]), name)
    assert command is not None
    assert command.make_context(name, arguments).params is not None


class _WithoutAliases(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True
