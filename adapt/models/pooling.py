"""What is chosen for a model whose folder does not say it: how token vectors become one; and which prompts are in use."""

from __future__ import annotations

import re
from pathlib import Path

from adapt.models import model_folder
from adapt.models.lookup import prompt_for_role, read_config


def default_pooling(folder: Path) -> str:
    """How a plain language model's token vectors become one: its folder does not say.

    cls, as in the TSDAE paper; lasttoken where each token sees those before it only, so that the first sees nothing; mean for
    T5's encoders, which have no first token of their own.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED

    config = read_config(folder)
    kind = str(config.get("model_type"))
    if config.get("is_encoder_decoder") or kind in ("t5", "mt5", "umt5", "longt5"):
        return "mean"
    bidirectional = kind not in CAUSAL or kind in MASKED or config.get("use_bidirectional_attention") or kind == "xlnet"
    return "cls" if bidirectional and not config.get("is_decoder") else "lasttoken"


POOLED = {"cls": "that of its first token (CLS)", "lasttoken": "that of its last token", "mean": "the mean of its tokens'"}


def default_notes(folder: Path, name: str) -> list[str]:
    """Sentences on what was chosen for a model: the pooling that its folder does not name, the prompts in use, or that none are."""
    found = []
    if not model_folder.is_sentence_transformer(folder):
        words = POOLED[default_pooling(folder)]
        found.append(f"{name}: a plain language model, which names no pooling: a text's vector is {words}")
    settings = model_folder.st_config(folder)
    known, default = settings.get("prompts") or {}, settings.get("default_prompt_name")
    used = {role: text for role in ("query", "document") if (text := prompt_for_role(known, default, role))}
    if used:
        found.append(f"{name}: prompts in use: {', '.join(f'{text!r} before a {role}' for role, text in used.items())}")
    elif re.search(r"(^|[-_/])e5([-_]|$)", name.lower()):
        found.append(
            f"{name}: E5 models want 'query: ' and 'passage: ' before texts, and this folder names no prompts; "
            "add them to prompts in its config_sentence_transformers.json"
        )
    return found
