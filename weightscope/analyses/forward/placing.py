"""A prompt with its images and clips: each written out where it stands among the tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from weightscope.analyses.forward.prompt import Prompt
from weightscope.analyses.forward.speller import Speller
from weightscope.components.sense import Frame, Layout, Sense, Token
from weightscope.errors import UsageError


def with_things(
    prompt: Prompt,
    layouts: Sequence[Layout],
    mark: int,
    speller: Speller | None,
    sense: Sense,
    *,
    around: tuple[tuple[int, ...], tuple[int, ...]] = ((), ()),
    written: str | int = "",
    frame: Frame | None = None,
) -> Prompt:
    """The prompt with each image or clip written out, before the text where it says no place.

    Args:
        prompt: the prompt, which has one `mark` for each of them, all of them, or none.
        layouts: how each is written out.
        mark: the token that stands where the vectors of one do.
        speller: the model's tokenizer, if there is one.
        sense: what makes their vectors.
        around: what stands before and after one that the prompt does not place.
        written: the text or the token that places one, where it is not the mark.
        frame: what the model's processor writes around the text.

    Raises:
        UsageError: another number of images or clips; tokens that only a tokenizer knows, and there is none.
    """
    if speller and prompt.is_text:
        spelled = speller.token(mark)
        places = speller.token(written) if isinstance(written, int) else written or spelled
        text = sense.question if prompt.origin == "default text" else prompt.text or ""
        encode = speller.pieces if frame else speller.encode
        known = (not frame and mark >= 0) or speller.pieces(spelled) == (mark,)
        if known and places not in text and spelled not in text:
            before, after = ("".join(map(speller.token, ids)) for ids in around)
            text = f"{before}{places}{after}" * len(layouts) + ("" if frame else "\n") + text
        if frame and not known:
            # Images come first, in tokens that no text can write.
            text = sense.finished(_framed(text, frame, speller))
        elif frame:
            last = max(text.rfind(place) + len(place) for place in (places, spelled) if place in text)
            text = f"{text[:last]}{_framed(text[last:], frame, speller)}"
        parts = text.split(places)
        if known and len(parts) - 1 == len(layouts):
            full = (_text(layout, spelled, speller) for layout in layouts)
            whole = "".join(part for both in zip(parts, [*full, ""], strict=True) for part in both)
            return replace(prompt, tokens=encode(sense.finished(whole)), text=text)
        tokens, prompt = encode(text), replace(prompt, text=text)
    else:
        tokens = prompt.tokens
    tokens = _among(tokens, layouts, mark, speller, sense, around=around, written=written)
    return replace(prompt, tokens=tokens)


def _among(
    tokens: tuple[int, ...],
    layouts: Sequence[Layout],
    mark: int,
    speller: Speller | None,
    sense: Sense,
    *,
    around: tuple[tuple[int, ...], tuple[int, ...]],
    written: str | int,
) -> tuple[int, ...]:
    """The tokens with each image or clip written out: those whose marks are all there stay as they are."""
    total = sum(piece for layout in layouts for piece in layout if isinstance(piece, int))
    count = tokens.count(mark)
    if count == total:
        return tokens
    if not count and isinstance(written, int) and written in tokens:
        tokens = tuple(mark if token == written else token for token in tokens)
        count = tokens.count(mark)
    if not count:
        tokens = (*(token for _ in layouts for token in (*around[0], mark, *around[1])), *tokens)
        count = len(layouts)
    if count != len(layouts):
        each = " or ".join(dict.fromkeys((f"{len(layouts):,}", f"{total:,}")))
        thing = sense.thing
        what = f"one {thing} takes" if len(layouts) == 1 else f"{len(layouts):,} {thing}s take"
        raise UsageError(f"the prompt has {count:,} {thing} tokens (id {mark}), but {what} {each}")
    wanted = iter(layouts)
    found: list[int] = []
    images: list[int | str | Token] = []
    for token in (*tokens, None):
        if token == mark:
            images += next(wanted)
            continue
        found += _ids(_joined(images, sense.finished), mark, speller)
        images = []
        found += [] if token is None else [token]
    return tuple(found)


def _framed(text: str, frame: Frame, speller: Speller) -> str:
    """The text after the last image with what the processor writes around it."""
    begin = "" if frame.begin is None else speller.token(frame.begin)
    return f"{begin}{text}{frame.end}"


def _joined(pieces: Sequence[int | str | Token], finished: Callable[[str], str]) -> Layout:
    """The layouts of images side by side, texts that meet as one."""
    found: list[int | str | Token] = []
    for piece in pieces:
        if isinstance(piece, str) and found and isinstance(found[-1], str):
            found[-1] += piece
        else:
            found.append(piece)
    return tuple(finished(piece) if isinstance(piece, str) else piece for piece in found)


def _text(layout: Layout, spelled: str, speller: Speller) -> str:
    """The text of an image that is written out; `spelled` is the image token's."""
    found = ""
    for piece in layout:
        if isinstance(piece, Token):
            found += speller.token(piece.id)
        else:
            found += spelled * piece if isinstance(piece, int) else piece
    return found


def _ids(layout: Layout, mark: int, speller: Speller | None) -> list[int]:
    """The tokens of an image that is written out."""
    found: list[int] = []
    for piece in layout:
        if isinstance(piece, int):
            found += [mark] * piece
        elif isinstance(piece, Token):
            found.append(piece.id)
        elif speller is None:
            raise UsageError(
                f"tokenizer.json is missing; it is needed for {piece!r} beside an image or a clip",
                hint="give --tokens with all of their tokens, and those between them",
            )
        else:
            found += speller.pieces(piece)
    return found
