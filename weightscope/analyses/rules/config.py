"""Does the config agree with itself, and with the generation settings beside it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from weightscope.analyses.rules.padding import pads
from weightscope.analyses.rules.subject import Subject
from weightscope.components.base import Component
from weightscope.components.embedding import Embedding
from weightscope.components.runnable import runnable_in
from weightscope.components.walk import find
from weightscope.config import Config, read_config
from weightscope.errors import ConfigError
from weightscope.findings import Finding
from weightscope.roles import Role, Section

SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id")


def contradictory_sizes(subject: Subject) -> Iterator[Finding]:
    """`config-invalid`, errors: heads that do not divide, too many experts for a token, an unfit projector."""
    if subject.declaration is None:
        return
    for component in find(subject.declaration.tree, Component):
        for conflict in component.conflicts():
            yield _invalid(conflict.what, conflict.keys)
    if any(slot.section is Section.PROJECTOR for slot in subject.declaration.slots):
        # Text models do not wait for its import.
        from weightscope.analyses.rules.bridges import unfit_projector

        yield from unfit_projector(subject)


def special_tokens(subject: Subject) -> Iterator[Finding]:
    """`config-invalid`: token ids beyond the vocabulary, errors where no model is built; no end of sequence, info."""
    config, rows = subject.config, _vocabulary(subject)
    if config is None or rows is None:
        return
    generation = _generation(subject)
    if isinstance(generation, Finding):
        yield generation
        generation = {}
    sources = {"config.json": _text(config), "generation_config.json": generation}
    for name, data in sources.items():
        for key in SPECIAL:
            beyond = [token for token in _ids(data.get(key)) if not 0 <= token < rows]
            # -1 says "none" in many configs.
            beyond = [token for token in beyond if token != -1]
            if beyond:
                said = ", ".join(map(str, beyond))
                refused = name == "config.json" and key == "pad_token_id" and pads(config)
                yield Finding(
                    code="config-invalid",
                    severity="error" if refused else "warning",
                    message=f"{name}: {key} {said} is out of range of the {rows:,} embedding rows",
                    expected=f"0 to {rows - 1}",
                    actual=beyond,
                    config=(key, "vocab_size"),
                    hint="transformers cannot build this model: correct pad_token_id, or set it to null"
                    if refused
                    else "generation would look up a row that does not exist",
                )
    if _generates(subject) and not any(_ids(data.get("eos_token_id")) for data in sources.values()):
        yield Finding(
            code="config-invalid",
            severity="info",
            message="neither config.json nor generation_config.json has an eos_token_id",
            config=("eos_token_id",),
            hint="generation ends where the config class has a default, otherwise only at the length limit",
        )


def generation_settings(subject: Subject) -> Iterator[Finding]:
    """`config-missing` or `config-invalid`, info: no generation_config.json, or one that ends elsewhere."""
    if subject.directory is None or subject.config is None or not _generates(subject):
        return
    if "generation_config.json" not in subject.directory.names():
        yield Finding(
            code="config-missing",
            severity="info",
            message="generation_config.json is missing",
            hint="generation uses config.json and the library's defaults",
        )
        return
    generation = _generation(subject)
    ends = [] if isinstance(generation, Finding) else _ids(generation.get("eos_token_id"))
    said = _ids(_text(subject.config).get("eos_token_id"))
    if ends and said and not set(ends) & set(said):
        yield Finding(
            code="config-invalid",
            severity="info",
            message=f"eos_token_id is {said} in config.json and {ends} in generation_config.json",
            expected=said,
            actual=ends,
            config=("eos_token_id",),
            hint="generation uses generation_config.json",
        )


def ending_ids(subject: Subject) -> list[int]:
    """The ids that generation ends on: generation_config.json's, or else config.json's."""
    generation = _generation(subject)
    ends = [] if isinstance(generation, Finding) else _ids(generation.get("eos_token_id"))
    return ends or (_ids(_text(subject.config).get("eos_token_id")) if subject.config else [])


def _generates(subject: Subject) -> bool:
    """Whether the model writes a text token by token, with a head over the vocabulary."""
    runnable = runnable_in(subject.declaration.tree) if subject.declaration else None
    return runnable is not None and runnable.writer is not None and subject.tying.evidence != "not-applicable"


def _invalid(message: str, keys: tuple[str, ...]) -> Finding:
    return Finding(
        code="config-invalid",
        severity="error",
        message=f"config.json: {message}",
        config=tuple(dict.fromkeys(keys)),
        hint="a model with these sizes cannot run",
    )


def _vocabulary(subject: Subject) -> int | None:
    if subject.declaration is None:
        return None
    tables = (table for table in find(subject.declaration.tree, Embedding) if table.role is Role.TOKEN_EMBEDDING)
    table = next(tables, None)
    return int(table.rows) if table else None


def _text(config: Config) -> Mapping[str, Any]:
    """The keys of the language model: a vision-language model has them one level down."""
    text = config.data.get("text_config")
    return {**text, **config.data} if isinstance(text, dict) else config.data


def _ids(value: object) -> list[int]:
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, int) and not isinstance(item, bool)]


def _generation(subject: Subject) -> Mapping[str, Any] | Finding:
    if subject.directory is None or "generation_config.json" not in subject.directory.names():
        return {}
    try:
        return read_config(subject.directory.fetch("generation_config.json")).data
    except ConfigError as error:
        return Finding.of(error)
