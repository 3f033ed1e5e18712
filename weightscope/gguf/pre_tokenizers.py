"""How a text is split before byte pairs are merged, by llama.cpp's name of it (tokenizer.ggml.pre).

Source: `llm_tokenizer_bpe` in src/llama-vocab.cpp of llama.cpp, and the tokenizer.json that each was made from.
Patterns of one splitter are applied one after another, each to the pieces that the one before it left.
"""

from __future__ import annotations

import msgspec

_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_START = r"[^\r\n\p{L}\p{N}]?"


def _cased(ending: str, digits: str) -> str:
    """Words that begin with capitals, and those of capitals."""
    words = f"{_START}{_UPPER}*{_LOWER}+{ending}|{_START}{_UPPER}+{_LOWER}*{ending}"
    return rf"{words}|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"


def _like_cl100k(digits: str) -> str:
    return rf"{_ENDINGS}|{_START}\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"


GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3, QWEN2 = _like_cl100k(r"\p{N}{1,3}"), _like_cl100k(r"\p{N}")
GPT4O, TEKKEN = _cased(f"{_ENDINGS}?", r"\p{N}{1,3}"), _cased("", r"\p{N}")
QWEN35 = rf"{_ENDINGS}|{_START}[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_SPACES}"
DEEPSEEK3 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    rf"| ?[\p{{P}}\p{{S}}]+[\r\n]*|{_SPACES}"
)
WORDS = r" ?[^(\s|.,!?…。，、।۔،)]+"


class Splitter(msgspec.Struct, frozen=True, kw_only=True):
    """The patterns; whether a whole piece that is a token is taken without merging; whether texts begin with a token.

    The last is what llama.cpp does where the file does not say `tokenizer.ggml.add_bos_token`.
    """

    patterns: tuple[str, ...]
    ignores_merges: bool = False
    begins: bool = False


_GPT2 = Splitter(patterns=(GPT2,))
_DIGITS = Splitter(patterns=(r"\p{N}", GPT2))
_LLAMA3 = Splitter(patterns=(LLAMA3,), ignores_merges=True, begins=True)
_QWEN2 = Splitter(patterns=(QWEN2,))
_GPT4O = Splitter(patterns=(GPT4O,))
_WORDS = Splitter(patterns=(WORDS,))

SPLITTERS = {
    **dict.fromkeys(("gpt-2", "phi-2", "mpt", "olmo", "jais", "exaone4", "a.x-4.0", "gigachat", "mellum"), _GPT2),
    **dict.fromkeys(("modern-bert", "roberta-bpe"), _GPT2),
    **dict.fromkeys(("starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b"), _DIGITS),
    **dict.fromkeys(("llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "lfm2"), _LLAMA3),
    **dict.fromkeys(("dbrx", "smaug-bpe", "chatglm-bpe"), Splitter(patterns=(LLAMA3,))),
    **dict.fromkeys(("glm4", "glm5"), Splitter(patterns=(LLAMA3,), ignores_merges=True)),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "stablelm2", "hunyuan", "megrez", "grok-2", "solar-open"), _QWEN2),
    "qwen35": Splitter(patterns=(QWEN35,)),
    **dict.fromkeys(("gpt-4o", "llama4", "kanana2", "minimax-m2"), _GPT4O),
    "tekken": Splitter(patterns=(TEKKEN,), ignores_merges=True, begins=True),
    **dict.fromkeys(
        ("deepseek-v3", "hunyuan-dense"),
        Splitter(patterns=(r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK3)),
    ),
    "deepseek-coder": Splitter(patterns=("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}")),
    "falcon": Splitter(patterns=(r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]")),
    **dict.fromkeys(("poro-chat", "bloom", "gpt3-finnish"), _WORDS),
    "viking": Splitter(patterns=(WORDS, r"\p{N}")),
}
