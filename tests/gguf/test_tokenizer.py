"""Tokenizers in the metadata of a GGUF file, against the tokenizers library that made them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFWriter, TokenType
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.pre_tokenizers import PreTokenizer

from tests.gguf.test_files import FIXTURES
from weightscope.checkpoint.header import read_header
from weightscope.errors import CheckpointError, NotImplementedByWeightscope
from weightscope.gguf.pre_tokenizers import SPLITTERS
from weightscope.gguf.tokenizer import tokenizer_json

PAGE = (Path(__file__).parents[1] / "data" / "page.txt").read_text()
TEXTS = [
    PAGE,
    "  leading  and   double 12345 spaces\n\nnew\tlines \r\n",
    "Ünïcödé 漢字 かな 한글 🎉 émoji",
    "I'll can't We'VE camelCase HTTPServer x=1;\n  y",
    "<s>the start</s> and <tool> the end",
    "",
]
# The splitters of tokenizer.json files as their makers published them.
ENDINGS, SPACES = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)", r"\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = ENDINGS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + SPACES
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def byte_level(*before: PreTokenizer, own: bool = False) -> PreTokenizer:
    return pre_tokenizers.Sequence([*before, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=own)])


def split(pattern: str) -> PreTokenizer:
    from tokenizers import Regex

    return pre_tokenizers.Split(Regex(pattern), "isolated")


PUBLISHED = {
    "gpt-2": byte_level(own=True),
    "smollm": byte_level(pre_tokenizers.Digits(individual_digits=True), own=True),
    "llama-bpe": byte_level(split(LLAMA3)),
    "qwen2": byte_level(split(QWEN2)),
}


def trained(splitter: PreTokenizer) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(ignore_merges=False))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<s>", "</s>", "<tool>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([PAGE], trainer)
    return tokenizer


def written(path: Path, tokenizer: Tokenizer, kind: str, pre: str, **more: Any) -> Path:
    """The tokenizer as llama.cpp's converter writes it."""
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    special = {"<s>", "</s>", "<tool>"}
    writer = GGUFWriter(path, "llama")
    writer.add_tokenizer_model(kind)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL if token in special else TokenType.NORMAL for token in tokens])
    if kind == "gpt2":
        writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    else:
        # The earlier a token is merged, the higher its score.
        merged = {"".join(pair): -float(place) for place, pair in enumerate(model["merges"])}
        writer.add_token_scores([merged.get(token, -1e6) for token in tokens])
    writer.add_bos_token_id(tokens.index("<s>"))
    for key, value in more.items():
        getattr(writer, f"add_{key}")(value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def read(path: Path) -> Tokenizer:
    metadata = read_header(path).described
    assert metadata
    return Tokenizer.from_str(tokenizer_json(metadata, path))


@pytest.mark.parametrize("name", PUBLISHED)
def test_byte_pairs_are_those_that_were_trained(name: str, tmp_path: Path) -> None:
    tokenizer = trained(PUBLISHED[name])
    tokenizer.model.ignore_merges = SPLITTERS[name].ignores_merges
    ours = read(written(tmp_path / "model.gguf", tokenizer, "gpt2", name, add_bos_token=False))
    for text in TEXTS:
        assert ours.encode(text).ids == tokenizer.encode(text).ids
        assert ours.decode(ours.encode(text).ids, skip_special_tokens=False) == text


def test_sentence_pieces_are_merged_by_their_scores(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<s>", "</s>", "<tool>"], show_progress=False)
    tokenizer.train_from_iterator(PAGE.splitlines(), trainer)
    path = written(tmp_path / "model.gguf", tokenizer, "llama", "default", add_bos_token=False)
    ours = read(path)
    for line in PAGE.splitlines():
        assert ours.encode(line).ids == tokenizer.encode(line).ids
        assert ours.decode(ours.encode(line).ids) == line
    bare = read(written(tmp_path / "bare.gguf", tokenizer, "llama", "default", add_space_prefix=False))
    # Without a blank before the text, and with the token that llama.cpp puts there unless told otherwise.
    assert bare.encode("the").tokens[0] == "<s>"
    assert not any(token.startswith("▁") for token in bare.encode("the").tokens)


@pytest.mark.parametrize(
    ("kind", "pre", "words"),
    [("rwkv", "default", "the tokenizer 'rwkv' of"), ("gpt2", "default", "the pre-tokenizer 'default' of")],
)
def test_what_is_not_known_is_refused_by_name(kind: str, pre: str, words: str, tmp_path: Path) -> None:
    path = written(tmp_path / "model.gguf", trained(PUBLISHED["gpt-2"]), kind, pre)
    with pytest.raises(NotImplementedByWeightscope, match=words):
        read(path)


def test_a_file_without_tokenizer_runs_on_fixed_ids(run: Any) -> None:
    status, out, _ = run("forward", FIXTURES / "llama.gguf")
    assert status == 0
    assert "The tokenizer of the GGUF file was not used: its metadata holds no tokenizer." in " ".join(out.split())
    status, out, error = run("forward", FIXTURES / "llama.gguf", "--prompt", "x")
    assert (status, out) == (2, "")
    assert "its metadata holds no tokenizer; give --tokens 1,2,3" in error


def test_a_broken_vocabulary_is_a_sentence(tmp_path: Path) -> None:
    path = written(tmp_path / "model.gguf", trained(PUBLISHED["gpt-2"]), "llama", "default")
    content = path.read_bytes().replace(b"tokenizer.ggml.scores", b"tokenizer.ggml.scor3s")
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="0 scores for 600 tokens"):
        read(path)
