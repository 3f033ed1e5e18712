"""What --trainable counts: whole parts are transformers' own requires_grad, LoRA is PEFT's."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import weightscope
from tests.families.tiny import TINY
from weightscope.errors import NotImplementedByWeightscope, UsageError

FIXTURES = Path(__file__).parents[2] / "fixtures"
BY_NAME = {tiny.name: tiny for tiny in TINY}
Saved = Callable[[str], Path]
Run = Callable[..., tuple[int, str, str]]

# Which modules of transformers' models belong to a part; the language model is the rest.
MODULES = {
    "vision": r"(model\.)?(vision_tower|visual)\.(?!merger|deepstack_merger_list)",
    "projector": r"(model\.)?(multi_modal_projector|visual\.merger|visual\.deepstack_merger_list)\.",
}
MODELS = ("llava", "llava-tied-above", "llava-qwen2-no-bias", "qwen2_vl", "qwen2_vl-tied", "qwen2_5_vl", "qwen3_vl",
          "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe")  # fmt: skip
PLANS = ("vision", "projector", "language", "projector+language", "language+vision", "full")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("plan", PLANS)
def test_whole_parts_against_requires_grad(name: str, plan: str, saved: Saved) -> None:
    oracle = BY_NAME[name].build()
    for path, parameter in oracle.named_parameters():
        part = next((part for part, pattern in MODULES.items() if re.match(pattern, path)), "language")
        parameter.requires_grad_(plan == "full" or part in plan.split("+"))
    trainable = weightscope.open(saved(name)).trainable(plan)
    assert trainable.trained == oracle.num_parameters(only_trainable=True) > 0
    assert trainable.frozen == oracle.num_parameters() - oracle.num_parameters(only_trainable=True)


def test_components_of_the_language_model_can_be_named(saved: Saved) -> None:
    """The head alone, which is its own matrix here; the norms, without those of the tower."""
    oracle = BY_NAME["llava"].build()
    sizes = {path: parameter.numel() for path, parameter in oracle.named_parameters()}
    norms = sum(size for path, size in sizes.items() if "vision" not in path and "norm" in path)
    model = weightscope.open(saved("llava"))
    assert model.trainable("head").trained == sizes["lm_head.weight"]
    assert model.trainable("norm+head").trained == sizes["lm_head.weight"] + norms


def test_a_tied_head_is_trained_with_its_table_and_counted_once(saved: Saved) -> None:
    oracle = BY_NAME["llama-tied"].build()
    oracle.requires_grad_(False)
    oracle.lm_head.weight.requires_grad_(True)
    model = weightscope.open(saved("llama-tied"))
    for plan in ("head", "embedding", "embedding+head"):
        assert model.trainable(plan).trained == oracle.num_parameters(only_trainable=True) == 101 * 24
    assert "tied" in model.trainable("head").notes[0]


def test_the_language_model_has_the_adapters_of_its_own(saved: Saved) -> None:
    """Zamba2's layers add pairs of thin matrices to the blocks that they share: they are no LoRA beside it."""
    model = weightscope.open(saved("zamba2"))
    assert model.trainable("language").trained == BY_NAME["zamba2"].build().num_parameters()
    assert model.trainable("language").frozen == 0


# Made by PEFT 0.21.2 with transformers 5.23.0 and torch 2.13.0 on the same tiny models, as
# the elements of all parameters with "lora_" in their name, after
# get_peft_model(tiny.build(), LoraConfig(r=4, target_modules=…, target_parameters=…)); the classifier had SEQ_CLS.
# `all-linear` was given as a text, names of stacked experts as target_parameters, all others as target_modules.
PEFT = [
    ("llama", "q_proj,v_proj", 960),
    ("llama", "all-linear", 4656),
    ("llama", "embed_tokens,o_proj", 1076),
    ("llama-tied", "embed_tokens,lm_head", 1000),
    ("llama-tied", "all-linear", 4656),
    ("llama-classifier", "all-linear", 4656),
    ("gpt2", "c_attn", 1152),
    ("gpt2", "c_proj", 2016),
    ("gpt2", "all-linear", 4608),
    ("gpt2", "wte,wpe", 744),
    ("phi3", "qkv_proj", 768),
    ("opt", "all-linear", 4152),
    ("bloom", "all-linear", 4608),
    ("mpt", "all-linear", 4608),
    ("gemma3n_text", "all-linear", 17448),
    ("recurrent_gemma", "all-linear", 4768),
    # Its norms of heads are matrices, and no Linear.
    ("cohere-norms", "all-linear", 4752),
    # Tables of token types, distances and visual tokens are no Linear either.
    ("bert", "all-linear", 4320),
    ("deberta", "all-linear", 4896),
    ("ovis2", "all-linear", 7660),
    # Blocks that layers share are modules in each of them.
    ("zamba", "q_proj", 768),
    ("zamba2", "q_proj", 1536),
    ("zamba2", "all-linear", 28112),
    ("rwkv", "all-linear", 6016),
    ("jamba", "in_proj,x_proj", 2220),
    ("clip_vision_model", "all-linear", 2304),
    ("llava", "q_proj,v_proj", 1600),
    ("llava", "all-linear", 7328),
    ("llava", "linear_1,linear_2", 368),
    ("llava", "patch_embedding", 668),
    ("qwen2_vl", "q_proj,v_proj", 1920),
    ("qwen2_vl", "qkv", 1024),
    ("qwen2_vl", "patch_embed.proj", 448),
    ("qwen2_vl", "all-linear", 11984),
    ("qwen3_vl", "all-linear", 13072),
    ("qwen3_vl", "pos_embed", 164),
    ("qwen3_5", "all-linear", 12624),
    ("deepseek_v3", "q_a_proj,kv_b_proj", 1512),
    ("qwen3_vl_moe", "experts.gate_up_proj,experts.down_proj", 8280),
    ("gpt_oss", "experts.gate_up_proj,experts.down_proj", 13680),
    ("gpt_oss", "q_proj,experts.down_proj", 6432),
    ("dbrx", "mlp.w1", 1128),
    # Modules of that name, without the stacked experts beside them.
    ("llama4_text", "down_proj", 1216),
    ("granitemoeshared", "input_linear", 696),
]


@pytest.mark.parametrize(("name", "targets", "added"), PEFT)
def test_lora_against_peft(name: str, targets: str, added: int, saved: Saved) -> None:
    model = weightscope.open(saved(name))
    trainable = model.trainable(f"lora:r=4,targets={targets}")
    assert trainable.added == trainable.trained == added
    assert trainable.frozen == BY_NAME[name].build().num_parameters()


# The same of published configs, built by transformers on the meta device.
PUBLISHED = [
    ("meta-llama__Meta-Llama-3.1-70B", "r=16,targets=q_proj,v_proj", 32768000, 70553706496),
    ("meta-llama__Meta-Llama-3.1-70B", "r=16,targets=all-linear", 207093760, 70553706496),
    ("Qwen__Qwen2.5-VL-7B-Instruct", "r=16,targets=q_proj,v_proj", 5046272, 8292166656),
    ("Qwen__Qwen2.5-VL-7B-Instruct", "r=16,targets=all-linear", 51824640, 8292166656),
    ("Qwen__Qwen3-VL-8B-Instruct", "r=64,targets=all-linear", 209975296, 8767123696),
    ("Qwen__Qwen3-VL-30B-A3B-Instruct",
     "r=8,targets=q_proj,k_proj,v_proj,o_proj,experts.gate_up_proj,experts.down_proj", 321257472, 31070754032),
]  # fmt: skip


@pytest.mark.parametrize(("name", "lora", "added", "frozen"), PUBLISHED)
def test_lora_of_published_configs_against_peft(name: str, lora: str, added: int, frozen: int, tmp_path: Path) -> None:
    published = json.loads((FIXTURES / "published" / f"{name}.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(published["config"]))
    trainable = weightscope.open(tmp_path / "config.json").trainable(f"lora:{lora}")
    assert (trainable.added, trainable.frozen) == (added, frozen)
    assert trainable.share == pytest.approx(added / (added + frozen))


def test_a_part_of_its_own_and_lora_beside_the_frozen_rest(saved: Saved) -> None:
    """As LLaVA is tuned: the projector whole, q and v of both towers by adapters, none in what is trained whole."""
    model = weightscope.open(saved("llava"))
    projector = sum(p.numel() for n, p in BY_NAME["llava"].build().named_parameters() if "multi_modal_projector" in n)
    both = model.trainable("projector+lora:r=4,targets=all-linear")
    # PEFT takes no adapters within modules_to_save: of its 7,328 the 368 of linear_1 and linear_2 are left out.
    assert both.added == 7328 - 368
    assert both.trained == projector + 7328 - 368
    with pytest.raises(UsageError, match="hits only what --trainable trains whole"):
        model.trainable("projector+lora:r=4,targets=linear_1")


def test_what_a_role_stands_for_where_no_module_is_called_so(saved: Saved) -> None:
    """GPT-2's q_proj lies in c_attn, which LoRA adapts whole: 3 · 4 · (24 + 72), as PEFT has it for c_attn."""
    trainable = weightscope.open(saved("gpt2")).trainable("lora:r=4,targets=q_proj")
    assert trainable.added == 1152
    assert trainable.notes == (
        "No module is called q_proj: as a role it is c_attn.",
        "c_attn also holds k_proj and v_proj: LoRA adapts the whole matrix.",
    )


def test_a_path_with_numbers_hits_these_layers(saved: Saved) -> None:
    """PEFT: 372 with r=3 for layers.1.self_attn.q_proj and 2.mlp.down_proj."""
    trainable = weightscope.open(saved("llama")).trainable("lora:r=3,targets=layers.1.self_attn.q_proj,2.mlp.down_proj")
    assert trainable.added == 3 * (24 + 24) + 3 * (52 + 24) == 372
    assert trainable.lora is not None
    assert [part.title for part in trainable.lora.adapted] == [
        "model.layers.1.self_attn.q_proj.weight",
        "model.layers.2.mlp.down_proj.weight",
    ]


def test_quantized_weights_count_as_the_weights_they_stand_for() -> None:
    """Width 64 and 256 rows packed to 4 bits: q_proj is 64 × 128 on disk 32-bit words of 8 weights each."""
    model = weightscope.open(FIXTURES / "qwen3-mlx-4bit")
    config = json.loads((FIXTURES / "qwen3-mlx-4bit" / "config.json").read_text())
    width, rows = config["hidden_size"], config["num_attention_heads"] * config["head_dim"]
    layers, vocabulary = config["num_hidden_layers"], config["vocab_size"]
    trainable = model.trainable("lora:r=8,targets=q_proj,embed_tokens")
    assert trainable.added == layers * 8 * (width + rows) + 8 * (vocabulary + width)
    whole = model.trainable("embedding")
    assert whole.trained == vocabulary * width
    assert "dequantize" in whole.notes[0]


def test_experts_are_counted_as_they_are_stored(saved: Saved) -> None:
    """DeepSeek's are matrices of their own: 2 mixed layers, 9 experts of 14 beside 24, one shared of 28, one dense."""
    trainable = weightscope.open(saved("deepseek_v3")).trainable("lora:r=4,targets=gate_proj")
    assert trainable.added == 4 * (2 * 9 * (24 + 14) + 2 * (24 + 28) + (24 + 52))
    assert "one by one" in trainable.notes[-1]


def test_stacked_experts_are_reached_by_their_own_names(saved: Saved) -> None:
    """A module's name stands for modules; the note says what to name for the experts too."""
    model = weightscope.open(saved("llama4_text"))
    alone = model.trainable("lora:r=4,targets=down_proj")
    both = model.trainable("lora:r=4,targets=down_proj,experts.down_proj")
    assert alone.notes == (
        "down_proj names modules, as in PEFT, and not the stacked experts: they are experts.down_proj.",
    )
    assert both.added > alone.added
    assert both.notes == ()


def test_prediction_layers_are_no_part_of_the_training() -> None:
    """Its multi-token prediction layer has a q_a_proj too, which transformers never loads."""
    model = weightscope.open(FIXTURES / "deepseek-v3")
    assert model.trainable("full").trained == model.parameters.total == 41844
    config = json.loads((FIXTURES / "deepseek-v3" / "config.json").read_text())
    added = config["num_hidden_layers"] * 4 * (config["hidden_size"] + config["q_lora_rank"])
    assert model.trainable("lora:r=4,targets=q_a_proj").added == added


USAGE = [
    ("", "has an empty part"),
    ("projector+", "has an empty part"),
    ("projektor", "did you mean projector?"),
    ("full+projector", "full trains everything"),
    ("full+lora:r=4,targets=q_proj", "full trains everything"),
    ("lora", "has no rank"),
    ("lora:r=4", "has no targets"),
    ("lora:targets=q_proj", "has no rank"),
    ("lora:r=0,targets=q_proj", "the rank '0' is not a number above 0"),
    ("lora:r=-3,targets=q_proj", "the rank '-3' is not a number above 0"),
    ("lora:r=eight,targets=q_proj", "the rank 'eight' is not a number above 0"),
    ("lora:r=" + "9" * 4000 + ",targets=q_proj", "the rank has 4,000 digits"),
    ("lora:r=100000,targets=q_proj", "a rank of 100,000 is not low: the largest target has 24 rows or columns"),
    ("lora:r=4,targets=", "has an empty target"),
    ("lora:r=4,targets=q_proj,,v_proj", "has an empty target"),
    ("lora:r=4,r=8,targets=q_proj", "has 'r' twice"),
    ("lora:r=4,alpha=8,targets=q_proj", "has no setting 'alpha'"),
    ("lora:16,targets=q_proj", "'16' is no setting"),
    ("lora:r=4,targets=q_proj+lora:r=4,targets=v_proj", "has lora twice"),
    ("lora:r=4,targets=all-linear,q_proj", "all-linear stands for all targets"),
    ("lora:r=4,targets=q_pro", "target 'q_pro' hits no module and no role of this model; did you mean q_proj"),
    ("lora:r=4,targets=proj", "target 'proj' hits no module and no role"),
    ("lora:r=4,targets=q_proj,gone", "target 'gone' hits no module and no role"),
    ("lora:r=4,targets=layers.7.self_attn.q_proj", "hits no module and no role"),
    ("lora:r=4,targets=input_layernorm", "a norm; LoRA needs a matrix"),
    ("vision", "the model has no vision component; it has language (language: embedding, attention, mlp, norm, head)"),
    ("projector+language", "the model has no projector component"),
]


@pytest.mark.parametrize(("plan", "said"), USAGE, ids=lambda text: text[:50])
def test_a_plan_that_does_not_fit_is_one_line(plan: str, said: str, run: Run) -> None:
    code, out, err = run("params", FIXTURES / "llama", "--trainable", plan)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_refused_by_name(saved: Saved) -> None:
    with pytest.raises(NotImplementedByWeightscope, match="all-linear is not counted for mixtures of experts"):
        weightscope.open(FIXTURES / "mixtral").trainable("lora:r=4,targets=all-linear")
    with pytest.raises(NotImplementedByWeightscope, match="all-linear is not counted for a type that is not declared"):
        weightscope.open(FIXTURES / "mini").trainable("lora:r=4,targets=all-linear")
    with pytest.raises(NotImplementedByWeightscope, match="LoRA on a convolution is not counted"):
        weightscope.open(saved("jamba")).trainable("lora:r=4,targets=conv1d")
    # PEFT: "Module 'out_proj' is incompatible with Mamba-based models (model_type='mamba2')".
    with pytest.raises(UsageError, match=r"name input_linear\.weight"):
        weightscope.open(saved("granitemoe")).trainable("lora:r=4,targets=input_linear")
    with pytest.raises(UsageError, match="where PEFT takes no LoRA: the kernels of mamba2 read it"):
        weightscope.open(saved("mamba2")).trainable("lora:r=4,targets=out_proj")


def test_by_and_trainable_exclude_each_other(run: Run) -> None:
    code, _, err = run("params", FIXTURES / "llama", "--trainable", "full", "--by", "layer")
    assert code == 2
    assert "--trainable and --by are mutually exclusive" in err


def test_json_and_csv(run: Run) -> None:
    """Width 24, 3 layers, LLaVA's own projector: the numbers add up to transformers' count of the fixture."""
    plan = "projector+lora:r=4,targets=q_proj,v_proj"
    code, out, _ = run("params", FIXTURES / "llava", "--trainable", plan, "--json")
    document: dict[str, Any] = json.loads(out)
    trainable = document["trainable"]
    assert code == 0
    assert [*document][:1] == ["schema_version"]
    assert {"model", "by", "parameters", "rows", "findings", "buffers"} < {*document}
    assert (trainable["parameters"], trainable["added"]) == (39948, 1600)
    assert trainable["trained"] == 1104 + 1600
    assert trainable["trained"] + trainable["frozen"] == 39948 + 1600
    rows = {row["component"]: row for row in trainable["components"]}
    assert rows["projector"] == {
        "component": "projector", "part": "projector", "parameters": 1104, "added": 0, "trained": 1104, "frozen": 0,
        "share": 1.0, "inferred": False,
    }  # fmt: skip
    assert {row["part"] for row in trainable["components"]} == {"vision", "projector", "language"}
    _, out, _ = run("params", FIXTURES / "llava", "--trainable", plan, "--format", "csv")
    lines = list(csv.DictReader(io.StringIO(out)))
    assert sum(int(line["trained"]) for line in lines) == trainable["trained"]
    assert sum(int(line["frozen"]) for line in lines) == trainable["frozen"]


def test_what_nothing_tells_is_null(tmp_path: Path) -> None:
    """Packed integers of a type that no family declares: their weights are not known, and so is what is trained."""
    from safetensors.torch import save_file

    tensors = {
        "model.layers.0.self_attn.q_proj.qweight": torch.zeros(4, 8, dtype=torch.int32),
        "model.norm.weight": torch.zeros(8),
    }
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "unheard_of"}')
    trainable = weightscope.open(tmp_path).trainable("full")
    assert (trainable.trained, trainable.frozen, trainable.share) == (None, None, None)
    with pytest.raises(NotImplementedByWeightscope, match="packed in a way that does not tell its size"):
        weightscope.open(tmp_path).trainable("lora:r=4,targets=q_proj")
