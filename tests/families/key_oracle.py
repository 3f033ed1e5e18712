"""What transformers makes of a changed config, and whether we make the same of it."""

from __future__ import annotations

import copy
import json
import math
import shutil
import struct
import tempfile
import warnings
from pathlib import Path
from typing import Any

import msgspec
import torch
from transformers.core_model_loading import revert_weight_conversion

import weightscope
from tests.families.keys import ABSENT, Change, class_of
from tests.families.tiny import Tiny

# Beyond this many parameters a config is held against names, shapes and counts alone.
MOST = 3_000_000
LARGEST = 40_000_000_000
TOKENS = [7, 3, 98, 0, 42, 42, 17, 5, 88, 61, 2, 33, 71, 12, 94, 50, 8, 27, 65, 19, 80, 44, 90, 3, 3, 56, 29, 13, 77]
SHORT = 6
# Keys of which sequences of another length may say something else.
BY_LENGTH = ("rope", "rotary", "theta", "position", "window", "chunk", "layer_types", "index")


class Outcome(msgspec.Struct, frozen=True):
    """What came of one change; `verdict` is agrees, skipped (transformers does not take it), refused or a fault:
    raises, config, names, count, tying, alarm, logits."""

    verdict: str
    detail: str = ""
    value: Any = None
    logits: bool = False


class NotTakenError(Exception):
    """transformers does not take a config."""


def compare(change: Change, directory: Path) -> Outcome:
    """The first value of the change's chain that transformers takes, held against it."""
    why = ""
    for value in change.chain:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made = Made(change, value, directory)
        except NotTakenError as refusal:
            why = why or str(refusal)
            continue
        made.write(change.config(value))
        outcome = held_against(made)
        if outcome.verdict == "agrees" and change.base == "sparse":
            made.write(made.saved)
            again = held_against(made)
            if again.verdict != "agrees":
                outcome = msgspec.structs.replace(again, detail=f"as transformers saves it: {again.detail}")
        return msgspec.structs.replace(outcome, value=repr(value) if value is ABSENT else value)
    return Outcome("skipped", why, change.chain[0] if change.chain[0] is not ABSENT else "absent")


class Made:
    """A model as transformers builds, saves and runs it for some config."""

    def __init__(self, change: Change, value: Any, directory: Path) -> None:
        self.tiny = tiny = change.tiny
        self.directory = directory
        # What a class has where nothing is said is large; what is tried instead of a small number is small.
        unsaid = value in (None, ABSENT) or change.without or change.kind == "published"
        self.lengths = (SHORT, len(TOKENS)) if any(word in change.key for word in BY_LENGTH) else (len(TOKENS),)
        try:
            config = read(tiny, change.config(value))
            self.model = build(tiny, config, may_be_large=bool(unsaid))
            self.total = self.model.num_parameters()
            self.tied = _tied(self.model)
            self.buffers = sum(
                tensor.numel() for name, tensor in self.model.named_buffers() if name in self.model.state_dict()
            )
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
            save(self.model, directory)
            self.saved = json.loads((directory / "config.json").read_text())
        except Exception as error:  # noqa: BLE001 - whatever it raises, it does not take this
            raise NotTakenError(f"{type(error).__name__}: {error}"[:200]) from None
        self.outputs: list[torch.Tensor] | None = None
        self.stopped = ""
        try:
            self.outputs = self._run()
        except Exception as error:  # noqa: BLE001 - what cannot run still has names and shapes
            self.stopped = f"{type(error).__name__}: {error}"[:200]

    def write(self, keys: dict[str, Any]) -> None:
        """Put a config beside the weights."""
        written = keys | {"architectures": [type(self.model).__name__]}
        (self.directory / "config.json").write_text(json.dumps(written))

    def _run(self) -> list[torch.Tensor] | None:
        """What comes out for a short and a longer sequence; None for what is too large, or not a number."""
        if self.model.device.type == "meta":
            return None
        self.model.config._experts_implementation = "eager"
        outputs = []
        with torch.no_grad():
            for tokens in sequences(self):
                out = _output(self.model, tokens)
                outputs.append(out)
        if all(torch.isfinite(out).all() for out in outputs):
            return outputs
        self.stopped = "what comes out is not finite"
        return None


def read(tiny: Tiny, keys: dict[str, Any]) -> Any:
    """The config that transformers reads from a file with those keys."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "config.json").write_text(json.dumps(keys))
        # By its class: some types have no model of their own.
        return class_of(tiny).from_dict(class_of(tiny).get_config_dict(directory)[0])


def sequences(made: Made) -> list[list[int]]:
    """A sequence longer than windows and chunks, after a short one where the length matters."""
    config = made.model.config.get_text_config()
    vocabulary = getattr(config, "vocab_size", 101) or 101
    tokens = [token % vocabulary for token in TOKENS]
    return [tokens[:length] for length in made.lengths]


def _output(model: Any, tokens: list[int]) -> torch.Tensor:
    if model.main_input_name == "pixel_values":
        output: torch.Tensor = model(**pixels(model.config)).last_hidden_state
        # A map of places, in the order in which they lie in the image.
        output = output.flatten(2).transpose(1, 2) if output.ndim == 4 else output
    elif model.main_input_name == "input_features":
        output = model(**speech(model.config, tokens)).logits
    else:
        # PaliGemma's processor says of a whole prompt that it is one; without that transformers takes it for an answer.
        kinds = {"token_type_ids": torch.zeros(1, len(tokens))} if model.config.model_type == "paligemma" else {}
        output = model(torch.tensor([tokens]), use_cache=False, **kinds).logits
    return output[0].float()


def pixels(config: Any) -> dict[str, torch.Tensor]:
    """An image [1, channels, height, width], or patches of one of another shape."""
    noise = torch.Generator().manual_seed(1)
    if config.model_type == "siglip2_vision_model":
        patches = torch.rand(1, 12, config.num_channels * config.patch_size**2, generator=noise)
        return {
            "pixel_values": patches,
            "pixel_attention_mask": torch.ones(1, 12, dtype=torch.int),
            "spatial_shapes": torch.tensor([[3, 4]]),
        }
    image = torch.rand(1, config.num_channels, config.image_size, config.image_size, generator=noise)
    if config.model_type == "vit_mae":
        return {
            "pixel_values": image,
            "noise": torch.rand(1, (config.image_size // config.patch_size) ** 2, generator=noise),
        }
    return {"pixel_values": image}


def speech(config: Any, tokens: list[int]) -> dict[str, Any]:
    """A spectrogram [1, bins, frames] of one clip, and tokens that the decoder has written."""
    noise = torch.Generator().manual_seed(1)
    if config.model_type == "speech_to_text":
        features = torch.rand(1, 53, config.input_feat_per_channel * config.input_channels, generator=noise)
    else:
        features = torch.rand(1, config.num_mel_bins, 2 * config.max_source_positions, generator=noise)
    return {"input_features": features, "decoder_input_ids": torch.tensor([tokens])}


def build(tiny: Tiny, config: Any, *, may_be_large: bool) -> Any:
    """The model of a config: on no device where it is large, else with random values in float32."""

    def make() -> Any:
        return tiny.of(copy.deepcopy(config))

    if may_be_large:
        with torch.device("meta"):
            model = make().eval()
        if model.num_parameters() > LARGEST:
            raise NotTakenError(f"{model.num_parameters()} parameters")
        if model.num_parameters() > MOST:
            return model
    torch.manual_seed(0)
    model = make().eval().float()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.5, 0.5)
        for name, buffer in model.named_buffers():
            if name.endswith("e_score_correction_bias"):
                buffer.uniform_(-0.5, 0.5)
    return model


def save(model: Any, directory: Path) -> None:
    """As `save_pretrained` does; of a model without values the header, and a hole for them."""
    if model.device.type != "meta":
        model.save_pretrained(directory)
        return
    model.config.save_pretrained(directory)
    state = model.state_dict()
    for name in model._tied_weights_keys or ():
        if _tied(model):
            state.pop(name, None)
    header, end = {}, 0
    for name, tensor in revert_weight_conversion(model, state).items():
        size = 4 * math.prod(tensor.shape)
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [end, end + size]}
        end += size
    raw = json.dumps(header).encode()
    with (directory / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        file.truncate(8 + len(raw) + end)


def _tied(model: Any) -> bool | None:
    head = model.get_output_embeddings()
    if head is None:
        return None
    return head.weight is model.get_input_embeddings().weight


def held_against(made: Made) -> Outcome:
    """The first thing that we see otherwise than transformers does."""
    try:
        model = weightscope.open(made.directory)
        outcome = _looked_at(made, model) or _counted_alone(made)
        if outcome:
            return outcome
        return _run(made, model)
    except weightscope.WeightscopeError as error:
        return _refused(made, str(error))
    except Exception as error:  # noqa: BLE001 - a traceback is a fault to report
        return Outcome("raises", f"{type(error).__name__}: {error}"[:300])


def _looked_at(made: Made, model: weightscope.Model) -> Outcome | None:
    # A change may give a setting a second name beside its own: that is a warning, and no false alarm.
    found = [f for f in model.check() if f.severity != "info" and "two names of one setting" not in f.message]
    if model.declaration is None or model.declaration.part:
        return _refused(made, "; ".join(finding.message for finding in found)[:300])
    summary = model.summary()
    if summary.tensors.unrecognized or any(f.code in NAMES for f in found):
        said = [f"unrecognized {name}" for name in summary.tensors.unrecognized[:2]]
        return Outcome("names", "; ".join(said + [finding.message for finding in found])[:400])
    if model.parameters.total != made.total:
        return Outcome("count", f"{model.parameters.total}, not {made.total}")
    if model.parameters.buffers != made.buffers:
        return Outcome("count", f"{model.parameters.buffers} elements of buffers, not {made.buffers}")
    if made.tied is not None and summary.embeddings.tied is not made.tied:
        return Outcome("tying", f"{summary.embeddings.tied}, not {made.tied}")
    if found and not made.stopped:
        return Outcome("alarm", "; ".join(f"{finding.code}: {finding.message}" for finding in found)[:400])
    return None


NAMES = {"missing-tensor", "missing-tensors", "shape-mismatch", "unknown-tensor", "unexpected-tensor"}


def _refused(made: Made, why: str) -> Outcome:
    """What transformers builds and does not run, we may refuse as well."""
    return Outcome("skipped", f"{made.stopped}; we: {why}") if made.stopped else Outcome("refused", why)


def _counted_alone(made: Made) -> Outcome | None:
    total = weightscope.open(made.directory / "config.json").parameters.total
    return Outcome("count", f"{total} from the config alone, not {made.total}") if total != made.total else None


def _run(made: Made, model: weightscope.Model) -> Outcome:
    if made.outputs is None:
        return Outcome("agrees")
    main = made.model.main_input_name
    for tokens, expected in zip(sequences(made), made.outputs, strict=True):
        if main == "pixel_values":
            given: dict[str, Any] = pixels(made.model.config)
            ours = model.forward(**given).output
        elif main == "input_features":
            ours = model.forward(**speech(made.model.config, tokens)).logits
        else:
            ours = model.forward(tokens, measure=False).logits
        if ours is None or ours.shape != expected.shape:
            return Outcome("logits", f"shape {None if ours is None else tuple(ours.shape)}")
        bound = tolerance(made.tiny) * float(expected.abs().max())
        off = float((ours - expected).abs().max())
        if not off <= 2 * bound + 1e-9:
            share = off / (float(expected.abs().max()) or 1.0)
            return Outcome("logits", f"off by {share:.2g} of the largest for {len(tokens)} tokens", logits=True)
    return Outcome("agrees", logits=True)


def tolerance(tiny: Tiny) -> float:
    """What logits may differ by, of their largest: recurrences add up differently in chunks than step by step."""
    from tests.families.tiny_hybrids import RECURRENT, TINY_HYBRIDS

    return RECURRENT if tiny in TINY_HYBRIDS else tiny.tolerance
