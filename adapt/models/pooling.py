"""Defaults for models whose folder does not name them: the pooling of a plain language model, and notes on pooling and prompts."""

from __future__ import annotations

import re
from pathlib import Path

from adapt.models import model_folder
from adapt.models.lookup import prompt_for_role, read_config


def default_pooling(folder: Path) -> str:
    """The pooling of a plain language model, whose folder names none.

    cls, as in the TSDAE paper; lasttoken for causal attention, where the first token attends to nothing else; mean for T5
    encoders, which have no CLS token.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED

    config = read_config(folder)
    kind = str(config.get("model_type"))
    if config.get("is_encoder_decoder") or kind in ("t5", "mt5", "umt5", "longt5"):
        return "mean"
    bidirectional = kind not in CAUSAL or kind in MASKED or config.get("use_bidirectional_attention") or kind == "xlnet"
    return "cls" if bidirectional and not config.get("is_decoder") else "lasttoken"


POOLING_IN_WORDS = {
    "cls": "that of its first token (CLS)",
    "lasttoken": "that of its last token",
    "mean": "the mean of its tokens'",
}


def default_notes(folder: Path, name: str) -> list[str]:
    """Notes on defaults, a sentence each: the pooling where the folder names none, the prompts in use, or missing E5 prompts."""
    found = []
    if not model_folder.is_sentence_transformer(folder):
        words = POOLING_IN_WORDS[default_pooling(folder)]
        found.append(f"{name}: a plain language model without a pooling: a text's embedding is {words}")
    settings = model_folder.st_config(folder)
    known, default = settings.get("prompts") or {}, settings.get("default_prompt_name")
    used = {role: text for role in ("query", "document") if (text := prompt_for_role(known, default, role))}
    if used:
        found.append(f"{name}: prompts in use: {', '.join(f'{text!r} before a {role}' for role, text in used.items())}")
    elif re.search(r"(^|[-_/])e5([-_]|$)", name.lower()):
        found.append(
            f"{name}: E5 models expect 'query: ' and 'passage: ' before texts, and this folder has no prompts; "
            "add them to prompts in its config_sentence_transformers.json"
        )
    return found
