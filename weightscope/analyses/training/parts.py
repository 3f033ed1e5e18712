"""The words of --trainable for parts of a model: which components each of them covers."""

from __future__ import annotations

from collections.abc import Mapping

from weightscope.roles import SECTION_ORDER, Section

FULL, LANGUAGE, OTHER = "full", "language", "other"
# What the main model runs without is no part of its training; loaders leave it out.
AUXILIARY = frozenset({Section.MTP})
APART = frozenset({Section.VISION, Section.AUDIO, Section.PROJECTOR, Section.ADAPTER})
# Embeddings, layers, norms and head: all that the language model is made of.
OF_LANGUAGE = frozenset(Section) - APART - AUXILIARY

# Word -> the components that it stands for. Each component is a word of its own as well.
PARTS: Mapping[str, frozenset[Section]] = {
    **{
        str(section): frozenset({section}) for section in sorted(Section, key=SECTION_ORDER.__getitem__)
        if section not in AUXILIARY and section is not Section.OTHER
    },
    LANGUAGE: OF_LANGUAGE,
    FULL: frozenset(Section) - AUXILIARY,
}  # fmt: skip
# As data meets them; the language model's components are told together.
PART_ORDER = ("vision", "audio", "projector", LANGUAGE, "adapter", OTHER)


def part_of(section: Section) -> str:
    """The part that a component belongs to: `vision`, `audio`, `projector`, `adapter` or `language`."""
    return str(section) if section in APART else LANGUAGE
