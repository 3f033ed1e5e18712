"""The settings in PEFT's adapter_config.json."""

from __future__ import annotations

from weightscope.adapters.common import values
from weightscope.adapters.common.patterns import ALL_LINEAR, Patterns, Targets, unmatched
from weightscope.adapters.common.settings import ADALORA, LORA, NAMES, Rotation, Settings
from weightscope.config import Config

# Initializations that change the base's weights as well, so that A and B belong to what is left of them.
CHANGES_BASE = ("pissa", "olora", "loftq", "corda", "lora_ga")
# Other settings that change the maths, and what they are called.
UNAPPLIED = {
    "alora_invocation_tokens": "activated LoRA",
    "use_qalora": "QA-LoRA",
    "use_bdlora": "block-diagonal LoRA",
    "kasa_config": "KaSA",
    "monteclora_config": "MonteCLoRA",
    "arrow_config": "Arrow",
    "layer_replication": "replicated layers",
    "megatron_config": "Megatron's parallel layers",
}
EMBEDDINGS = "embed_tokens"
# Of the series of OFT's rotations, where a file does not say it.
TERMS = 5
MOST_TERMS = 100


def peft_settings(config: Config) -> Settings:
    """From the file's keys.

    Raises:
        ConfigError: a key has a value that it cannot have.
    """
    method = values.text(config, "peft_type").lower()
    if not method:
        raise config.error("lacks 'peft_type', which says what kind of adapter it is")
    base, task = values.text(config, "base_model_name_or_path"), values.text(config, "task_type")
    if method not in NAMES:
        return Settings(library="peft", source=config.source, method=method, base=base, task=task)
    # LoHa, LoKr and others of their kind call it `alpha`.
    alpha = values.number(config, "lora_alpha")
    # OFT counts in blocks instead, and then has 0 here.
    rank = values.whole(config, "init_r" if method == ADALORA else "r", least=1 if method == LORA else 0)
    ranks = values.kept(config, "rank_pattern") if method == ADALORA else values.ranks(config, "rank_pattern")
    alphas = values.scales(config, "alpha_pattern")
    table = "" if method == "trainable_tokens" else EMBEDDINGS
    return Settings(
        library="peft",
        source=config.source,
        method=method,
        base=base,
        task=task,
        rank=rank or None,
        alpha=values.number(config, "alpha") if alpha is None else alpha,
        ranks=Patterns.of(config, "rank_pattern", ranks),
        alphas=Patterns.of(config, "alpha_pattern", alphas),
        rslora=values.flag(config, "use_rslora"),
        dora=values.flag(config, "use_dora"),
        bias=values.text(config, "bias", "none"),
        targets=_targets(config),
        saved=values.words(config, "modules_to_save"),
        tokens=values.rows(config, "token_indices" if table == "" else "trainable_token_indices", ""),
        parameters=values.words(config, "target_parameters"),
        feedforward=values.words(config, "feedforward_modules"),
        rotation=_rotation(config) if method == "oft" else None,
        replicates=bool(config.data.get("layer_replication")),
        unapplied=_unapplied(config),
    )


def _targets(config: Config) -> Targets:
    named, left_out = config.data.get("target_modules"), config.data.get("exclude_modules")
    pattern = values.text(config, "target_modules") if isinstance(named, str) else ""
    excluded = values.text(config, "exclude_modules") if isinstance(left_out, str) else ""
    unread = unmatched(config, "target_modules", [pattern] if pattern else [])
    unread = unread or unmatched(config, "exclude_modules", [excluded] if excluded else [])
    return Targets(
        names=() if pattern else values.words(config, "target_modules"),
        pattern=pattern,
        excluded=() if excluded else values.words(config, "exclude_modules"),
        excluded_pattern=excluded,
        layers=values.numbers(config, "layers_to_transform"),
        stacks=values.words(config, "layers_pattern"),
        unread=pattern if pattern.lower() == ALL_LINEAR else unread,
    )


def _rotation(config: Config) -> Rotation | None:
    """How OFT's rotations are made; files of old versions have no word on it."""
    if config.data.get("use_cayley_neumann") is None:
        return None
    terms = values.whole(config, "num_cayley_neumann_terms") or TERMS
    if terms > MOST_TERMS:
        raise config.error(f"'num_cayley_neumann_terms' is {terms:,}; the limit is {MOST_TERMS}")
    return Rotation(
        terms=terms if values.flag(config, "use_cayley_neumann") else 0,
        limit=values.number(config, "eps") if values.flag(config, "coft") else None,
        shared=values.flag(config, "block_share"),
    )


def _unapplied(config: Config) -> str:
    start = config.data.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(CHANGES_BASE):
        return f"it was initialized by {start[:20]!r}, which changes the base's weights too"
    found = next((words for key, words in UNAPPLIED.items() if config.data.get(key)), None)
    return f"{found} is not implemented" if found else ""
