"""What brings a crop's features to Aria's language model. Source: `AriaProjector` of transformers."""

from __future__ import annotations

from weightscope.components.attention import Heads
from weightscope.components.projection import Projection
from weightscope.components.vision.asking_bridge import AskingAttention, AskingBridge
from weightscope.components.vision.projector import Projector
from weightscope.config import Config
from weightscope.families.common import layer_norms
from weightscope.roles import Role
from weightscope.sizes import Size

# How many queries for a crop of so many patches.
QUERIES = {"1225": 128, "4900": 256}
COUNTS, MOST = "projector_patch_to_query_dict", "max_value_projector_patch_to_query_dict"


def bridge(config: Config, name: str, heads: Size, width: Size, outputs: Size) -> AskingBridge:
    """Queries for a tower of that width and number of heads; the MLP is as wide as the language model."""
    norm, counts = layer_norms(1e-5), _counts(config)
    # transformers writes the largest number into the file as well, and that one wins.
    most = config[MOST] or Size(max(queries for _, queries in counts), COUNTS)
    return AskingBridge(
        name=name,
        queries=most,
        counts=tuple((patches, min(queries, int(most))) for patches, queries in counts),
        attention=AskingAttention(
            name="cross_attn",
            heads=Heads(count=heads, keys=heads, size=width // heads),
            width=width,
            query_norm=norm("layer_norm", Role.PROJECTOR_NORM, width),
            feature_norm=norm("layer_norm_kv", Role.PROJECTOR_NORM, width),
            before=(
                _matrix("q_proj", width, width, Role.Q_PROJ),
                _matrix("k_proj", width, width, Role.K_PROJ),
                _matrix("v_proj", width, width, Role.V_PROJ),
            ),
            after=Projection(name="linear", inputs=width, outputs=width, bias=True),
        ),
        norm=norm("layer_norm", Role.PROJECTOR_NORM, width),
        mlp=Projector(
            name="feed_forward",
            parts=(_matrix("linear_in", width, outputs), _matrix("linear_out", outputs, outputs)),
            activation="gelu_new",
        ),
    )


def _matrix(name: str, inputs: Size, outputs: Size, role: Role = Role.PROJECTOR) -> Projection:
    return Projection(name=name, inputs=inputs, outputs=outputs, bias=False, role=role)


def _counts(config: Config) -> tuple[tuple[int, int], ...]:
    """Pairs of patches and queries.

    Raises:
        ConfigError: they are no whole numbers.
    """
    said = QUERIES if config[COUNTS] is None else config[COUNTS]
    pairs = [(str(patches), queries) for patches, queries in said.items()]
    if not pairs or not all(patches.isdecimal() and type(queries) is int and queries > 0 for patches, queries in pairs):
        raise config.error(f"{COUNTS} is {said!r:.60}, not numbers of queries by numbers of patches")
    return tuple((int(patches), queries) for patches, queries in pairs)
