"""GPT-J (Wang & Komatsuzaki 2021) and CodeGen (arXiv 2203.13474). Sources: `GPTJConfig`, `CodeGenConfig`."""

from weightscope.components.attention import Rope
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import Dims, Output, causal_lm, layer_norms, token_embedding, visible
from weightscope.families.common.parts import linears, mlp, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.gpt import GPT2, GPT2_NAMES, causal_masks
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Buffer

GPTJ = GPT2 | {
    "vocab_size": 50400, "n_positions": 2048, "n_embd": 4096, "n_layer": 28, "n_head": 16, "rotary_dim": 64,
    "tie_word_embeddings": False,
}  # fmt: skip
FOUR = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "out_proj": Role.O_PROJ}
# CodeGen was trained on this many chips, and each keeps its share of the fused matrix together.
SHARES = 4


@family("gptj", roots=("transformer", "", "model"), defaults=GPTJ, attribute_map=GPT2_NAMES)
def gptj(config: Config, root: str) -> CausalLM:
    """Neighbours in the first `rotary_dim` elements of a head are rotated; the head has a bias."""
    return _side_by_side(config, root, (*linears(FOUR), *causal_masks(config["n_positions"])))


@family("codegen", roots=("transformer", ""), defaults=GPTJ, attribute_map=GPT2_NAMES)
def codegen(config: Config, root: str) -> CausalLM:
    """Rows of `qkv_proj` come in four shares, each with its queries, its values, then its keys."""
    if config["n_head"] % SHARES:
        raise config.error(f"n_head is {config['n_head']}, which is not a multiple of CodeGen's {SHARES} parts")
    fused = Linear("qkv_proj", Role.Q_PROJ, Role.V_PROJ, Role.K_PROJ, groups=SHARES)
    positions = config["n_positions"]
    mask = Buffer("causal_mask", Role.CAUSAL_MASK, (Size(1), Size(1), positions, positions))
    return _side_by_side(config, root, (fused, Linear("out_proj", Role.O_PROJ), mask))


def _side_by_side(config: Config, root: str, projections: tuple[StorageItem, ...]) -> CausalLM:
    """Attention and MLP are fed from the same norm and added together."""
    s, norm = Dims.of(config, even=True), layer_norms(config["layer_norm_epsilon"])
    activation = config["activation_function"]
    block = Block(
        input_norm=norm("ln_1", Role.INPUT_NORM, s.width),
        attention=self_attention(
            s,
            projections,
            name="attn",
            positions=Rope(dim=int(config["rotary_dim"]), theta=10000.0, interleaved=True, steps="apart"),
            sees=visible(config),
        ),
        feed_forward_norm=None,
        feed_forward=mlp(s.width, config["n_inner"], activation, names=("fc_in", "fc_out"), bias=True),
        parallel=True,
    )
    return causal_lm(
        config,
        root,
        lambda _: block,
        embedding=token_embedding(config, "wte"),
        layers="h",
        final_norm=norm("ln_f", Role.FINAL_NORM, s.width),
        output=Output(bias=True),
    )
