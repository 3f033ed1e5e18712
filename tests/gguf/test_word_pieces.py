"""Tokenizers of BERT, T5 and Gemma 4 in the metadata of a GGUF file, against those that were written into it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFWriter, TokenType
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tests.gguf.test_files import FIXTURES
from tests.gguf.test_tokenizer import PAGE, TEXTS, read
from weightscope.errors import CheckpointError, NotImplementedByWeightscope

TRAINING: dict[str, Any] = {"vocab_size": 500, "show_progress": False}
PHRASES = [*TEXTS, "Crème brûlée, naïve café!", "a  b   c ", "ﬁne ½ ① ﬀ"]
# Of SentencePiece, with the three rules ﬁ -> fi, ½ -> 1/2 and ① -> 1 (fixtures/gguf/characters.txt).
CHARACTERS = FIXTURES / "characters.bin"


def written(path: Path, kind: str, tokens: list[str], special: set[str], flags: dict[str, bool], **more: Any) -> Path:
    writer = GGUFWriter(path, "bert")
    writer.add_tokenizer_model(kind)
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL if token in special else TokenType.NORMAL for token in tokens])
    for key, flag in flags.items():
        writer.add_bool(f"tokenizer.ggml.{key}", flag)
    for key, value in more.items():
        getattr(writer, f"add_{key}")(value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tokens_of(tokenizer: Tokenizer) -> list[str]:
    vocabulary = tokenizer.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


def bert(*, lower: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator([PAGE], trainers.WordPieceTrainer(special_tokens=special, **TRAINING))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def bert_file(path: Path, tokenizer: Tokenizer, flags: dict[str, bool]) -> Path:
    """As llama.cpp's converter has it: pieces that begin a word are marked instead of those that go on."""
    special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    tokens = tokens_of(tokenizer)
    marked = [t if t in special else t[2:] if t.startswith("##") else f"▁{t}" for t in tokens]
    return written(path, "bert", marked, special, flags, unk_token_id=1, bos_token_id=2, sep_token_id=3)


def same(ours: Tokenizer, theirs: Tokenizer) -> None:
    for text in PHRASES:
        assert ours.encode(text).ids == theirs.encode(text).ids


def test_pieces_of_words_are_berts(tmp_path: Path) -> None:
    tokenizer = bert(lower=True)
    same(read(bert_file(tmp_path / "a.gguf", tokenizer, {})), tokenizer)


def test_whether_text_is_lowercased_is_said_or_shown_by_the_tokens(tmp_path: Path) -> None:
    tokenizer = bert(lower=False)
    with pytest.raises(NotImplementedByWeightscope, match="does not say whether text is lowercased"):
        read(bert_file(tmp_path / "a.gguf", tokenizer, {}))
    flags = {"normalizer.lowercase": False, "normalizer.strip_accents": False}
    same(read(bert_file(tmp_path / "b.gguf", tokenizer, flags)), tokenizer)


@pytest.mark.parametrize("characters", [b"", CHARACTERS.read_bytes()], ids=["plain", "table"])
def test_the_likeliest_pieces_are_sentencepieces(characters: bytes, tmp_path: Path) -> None:
    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(special_tokens=special, unk_token="<unk>", **TRAINING)
    trained.train_from_iterator(PAGE.splitlines(), trainer)
    pieces = [tuple(piece) for piece in json.loads(trained.to_str())["model"]["vocab"]]
    theirs = Tokenizer(models.Unigram(pieces, unk_id=2))
    theirs.add_special_tokens(special)
    # As transformers' T5Converter makes it of SentencePiece's file.
    steps = [normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")]
    table = [normalizers.Precompiled(characters)] if characters else []
    theirs.normalizer = normalizers.Sequence([*table, *steps])
    theirs.pre_tokenizer, theirs.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    theirs.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    more = {"precompiled_charsmap": characters} if characters else {}
    flags = {"add_space_prefix": True, "remove_extra_whitespaces": True}
    ids = {"eos_token_id": 1, "unk_token_id": 2}
    tokens, scores = [piece for piece, _ in pieces], [score for _, score in pieces]
    path = written(tmp_path / "a.gguf", "t5", tokens, set(special), flags, token_scores=scores, **ids, **more)
    ours = read(path)
    same(ours, theirs)
    for line in PAGE.splitlines():
        assert ours.decode(ours.encode(line).ids) == theirs.decode(theirs.encode(line).ids)


@pytest.mark.parametrize(
    ("limit", "said"),
    [("MAX_ELEMENTS", "5,000 elements"), ("MAX_ARRAY", "73,890 bytes"), ("MAX_TOKEN", "a text of 7 bytes")],
)
def test_a_vocabulary_beyond_reason_is_a_sentence(
    limit: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"weightscope.gguf.vocabulary.{limit}", 6)
    tokens = [f"▁{number}" for number in range(5_000)]
    path = written(tmp_path / "a.gguf", "bert", tokens, set(), {})
    with pytest.raises(CheckpointError, match=f"{said}; the limit is 6"):
        read(path)


def test_one_long_token_is_a_sentence(tmp_path: Path) -> None:
    """Not the product of its length with itself."""
    path = written(tmp_path / "a.gguf", "llama", ["a" * 1_000_000], set(), {}, token_scores=[0.0])
    with pytest.raises(CheckpointError, match="a text of 1,000,000 characters; the limit is 2,048"):
        read(path)


def test_pairs_of_letters_are_merged_in_gemma_4s_order(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    octets = [f"<0x{number:02X}>" for number in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=800, special_tokens=[*special, *octets], show_progress=False)
    tokenizer.train_from_iterator(PAGE.splitlines(), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    theirs = Tokenizer(
        models.BPE(
            model["vocab"],
            [tuple(pair) for pair in model["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    theirs.normalizer = tokenizer.normalizer
    theirs.add_special_tokens(special)
    theirs.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    merges = [" ".join(pair) for pair in model["merges"]]
    flags = {"add_space_prefix": False, "add_bos_token": True}
    ids = {"bos_token_id": 2, "unk_token_id": 3}
    path = written(tmp_path / "a.gguf", "gemma4", tokens_of(theirs), set(special), flags, token_merges=merges, **ids)
    same(read(path), theirs)
