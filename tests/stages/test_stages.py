"""What every stage promises."""

from pathlib import Path

import pytest

from adapt import stages


def test_the_folder_is_the_registry():
    files = {file.stem.replace("_", "-") for file in Path(stages.__file__).parent.glob("[a-z]*.py")}
    assert set(stages.names()) == files >= {"tsdae", "cross-encoder", "silver", "mine", "finetune"}


@pytest.mark.parametrize("word", stages.names())
def test_a_stage_declares_everything_that_help_validation_and_keys_need(word):
    stage = stages.find(word)
    assert stage.name() == word and stage.help().endswith(".") and stage.example.startswith(f"adapt {word} ")
    assert all(field.description for field in stage.model_fields.values())
    assert stage.output_kind() in {"encoder", "cross-encoder", "pairs", "scored", "triplets"} and stage.output_name
    assert stage.inputs() and all(want.kinds for want in stage.inputs())
    assert stage() == stage.model_validate(stage().model_dump(mode="json"))
    with pytest.raises(ValueError, match="Extra inputs"):
        stage(unknown=1)
