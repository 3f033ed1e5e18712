"""What the page of each command shows: examples that are run, and what its exit code 1 means."""

from __future__ import annotations

import msgspec


class Example(msgspec.Struct, frozen=True):
    """A command line that is run in the repository, and what a reader sees in its output."""

    caption: str
    line: str


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a page shows beside the command's own help."""

    examples: tuple[Example, ...] = ()
    found: str = ""  # when the exit code is 1
    more: str = ""  # the page that says what the figures mean


SHOWN: dict[str, Shown] = {
    "inspect": Shown(
        examples=(
            Example("A checkpoint in four shards.", "weightscope inspect fixtures/llama"),
            Example(
                "A mixture of experts in FP8: scales are not parameters, and what predicts further tokens is not "
                "in the total.",
                "weightscope inspect fixtures/deepseek-v3",
            ),
            Example(
                "A training run in the middle: what lies beside the weights is named, and not counted.",
                "weightscope inspect fixtures/runs/zero-3",
            ),
        ),
        more="[Counting](../counting.md) says what is a parameter and what is not.",
    ),
    "params": Shown(
        examples=(
            Example("By component.", "weightscope params fixtures/mixtral"),
            Example(
                "By layer; layers that count alike are one row.", "weightscope params fixtures/deepseek-v3 --by layer"
            ),
            Example(
                "What a plan of training trains.",
                "weightscope params fixtures/llava --trainable projector+lora:r=4,targets=q_proj,v_proj",
            ),
        ),
        more="[Counting](../counting.md) says what is counted and what [a plan](../counting.md#what-is-trained) names.",
    ),
    "tensors": Shown(
        examples=(
            Example(
                "Layers are folded: each row stands for as many tensors as its name says.",
                "weightscope tensors fixtures/llama",
            ),
            Example("The five largest.", "weightscope tensors fixtures/llama --top 5"),
            Example("One role, for a spreadsheet.", "weightscope tensors fixtures/llama --role k_proj --format csv"),
        ),
    ),
    "explain": Shown(
        examples=(
            Example("A matrix of keys.", "weightscope explain fixtures/llama model.layers.1.self_attn.k_proj.weight"),
            Example(
                "By a part of its name: latent attention, stored in FP8 blocks.",
                "weightscope explain fixtures/deepseek-v3 layers.1.self_attn.kv_a_proj_with_mqa",
            ),
            Example("A tensor that fuses three roles.", "weightscope explain fixtures/gpt2 h.1.attn.c_attn.weight"),
        ),
    ),
    "check": Shown(
        examples=(
            Example(
                "One model that is fine, and one whose type is not known.",
                "weightscope check fixtures/llama fixtures/mini",
            ),
            Example("The verdict alone.", "weightscope check -q fixtures/llama fixtures/mini"),
            Example("As annotations of GitHub Actions.", "weightscope check fixtures/mini --format github"),
            Example("What a code means.", "weightscope check --explain tie-mismatch"),
        ),
        found="a finding is at or above `--fail-on`",
        more="[Findings](../findings.md) describes every code, [CI](../ci.md) says how to use it in each system.",
    ),
    "forward": Shown(
        examples=(
            Example(
                "Random weights compute, and say nothing: all next tokens are about as likely.",
                "weightscope forward fixtures/llama --tokens 1,2,3,4",
            ),
            Example("Every stage.", "weightscope forward fixtures/mixtral --tokens 1,2,3 --stages"),
            Example(
                "With an adapter.",
                "weightscope forward fixtures/adapters/bases/llama --tokens 1,2,3 "
                "--adapter fixtures/adapters/peft/lora",
            ),
        ),
        found="a finding is at or above `--fail-on`, or the pass differs from what `--expect` or `--compare` says",
    ),
    "stats": Shown(
        examples=(
            Example("By role.", "weightscope stats fixtures/llama"),
            Example("By layer.", "weightscope stats fixtures/gpt2 --by layer"),
        ),
        found="a finding is at or above `--fail-on`",
        more="[Findings](../findings.md) says what `value-outlier`, `constant-tensor` and the others mean.",
    ),
    "diff": Shown(
        examples=(
            Example("Two models of one shape.", "weightscope diff fixtures/llama fixtures/llama-1 --values"),
            Example(
                "Two architectures; a config.json is enough.",
                "weightscope diff fixtures/llama fixtures/mixtral/config.json",
            ),
        ),
        found="the models differ in more than their form",
    ),
    "lock": Shown(
        examples=(
            Example("Names, shapes and config alone, of a small model.", "weightscope lock fixtures/mini-tied --quick"),
        ),
        more="[Locks](../lock.md) says how digests are made.",
    ),
    "memory": Shown(
        examples=(
            Example("Two sequences of 100 tokens.", "weightscope memory fixtures/llama --context 100 --batch 2"),
            Example("Does it fit?", "weightscope memory fixtures/llama --gpu 64kB --context 100 --batch 2"),
            Example("What training takes.", "weightscope memory fixtures/llama --trainable full --gpu 400kB"),
        ),
        found="with `--gpu`: it does not fit",
        more="[Memory](../memory.md) says what each figure is, with sums to do by hand.",
    ),
    "browse": Shown(more="[The browser](../browse.md) says what the panes show, and has all keys."),
    "mcp": Shown(more="[For coding agents](../mcp.md) says what the tools answer, and what a client cannot do."),
    "report": Shown(more="[The report](../report.md) says what each section shows."),
}
