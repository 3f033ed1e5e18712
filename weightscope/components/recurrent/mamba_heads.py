"""Mamba in several heads, each with a scan of its own (Zamba, arXiv 2405.16712)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.feed_forward.activations import activate
from weightscope.components.recurrent.convolution import convolve, kernel_shape
from weightscope.components.recurrent.mamba import Mamba
from weightscope.components.recurrent.recurrence import selective_scan
from weightscope.components.running import At, linear
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class HeadedMamba(Mamba, frozen=True, kw_only=True):
    """`inner` channels in `heads`, each channel with a state of `state` numbers, moved by steps that the token chooses.

    The steps of a head come from a vector of `rank` numbers of its own. `activation` follows the convolution; the gate
    is always silu. With a single head this is Mamba.
    """

    heads: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        """Rows of `in_proj` are a channel's input and its gate in turn."""
        return (
            Linear("in_proj", Role.IN_PROJ, Role.Z_PROJ, bias=self.bias, groups=self.inner),
            Kernel("conv1d", Role.CONVOLUTION, bias=self.kernel_bias),
            Plain("", Role.X_PROJ, leaf="x_proj_weight"),
            Plain("", Role.DT_PROJ, leaf="dt_proj_weight"),
            Plain("", Role.DT_BIAS, leaf="dt_proj_bias"),
            Plain("", Role.A_LOG, leaf="A_log"),
            Plain("", Role.D, leaf="D"),
            Linear("out_proj", Role.OUT_PROJ, bias=self.bias),
        )

    def sizes(self) -> Sizes:
        """`x_proj` makes the small vector of the steps, then what is written and what is read, head by head."""
        size = self.inner // self.heads
        return {
            Role.IN_PROJ: (self.inner, self.width),
            Role.Z_PROJ: (self.inner, self.width),
            Role.CONVOLUTION: kernel_shape(self.inner, self.kernel),
            Role.X_PROJ: (self.heads, self.rank + self.state * 2, size),
            Role.DT_PROJ: (self.heads, size, self.rank),
            Role.DT_BIAS: (self.heads, size),
            Role.A_LOG: (self.heads, size, self.state),
            Role.D: (self.heads, size),
            Role.OUT_PROJ: (self.width, self.inner),
        }

    @property
    def glance(self) -> str:
        return f"mamba {self.heads:,} heads of {self.inner // self.heads:,}, state {self.state:,}"

    def terms(self) -> Mapping[Role, str]:
        heads = f"in {int(self.heads)} heads of {int(self.inner // self.heads)}"
        return {
            Role.IN_PROJ: f"in_proj·x   {int(self.inner)} channels",
            Role.Z_PROJ: "z = z_proj·x",
            Role.CONVOLUTION: f"u = {self.activation}(conv(in_proj·x)): each channel over {int(self.kernel)} tokens;"
            f" then {heads}",
            Role.X_PROJ: f"[r | b | c] = x_proj·u   for each head: r is {int(self.rank)} numbers, b and c are"
            f" {int(self.state)}",
            Role.DT_PROJ: "dt = softplus(dt_proj·r + dt_bias)   a step for each channel of a head",
            Role.DT_BIAS: "added to each channel's step before softplus",
            Role.A_LOG: "h = exp(−exp(A_log)·dt) ⊙ h + dt·b·u,  scan(u) = c·h",
            Role.D: "D ⊙ u skips the scan",
            Role.OUT_PROJ: "out_proj·(…)",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]; the scan is computed in float32 at least."""
        import torch

        weights = at.weights(self)
        wide = torch.promote_types(x.dtype, torch.float32)
        u = convolve(linear(x, weights, Role.IN_PROJ), weights, self.activation)
        heads = u.reshape(len(x), int(self.heads), -1).unbind(1)
        scanned = torch.cat([self._scanned(part, head, weights, wide) for head, part in enumerate(heads)], dim=-1)
        gate = activate("silu", linear(x, weights, Role.Z_PROJ))
        out = (scanned.to(x.dtype) + weights[Role.D].flatten() * u) * gate
        return linear(out, weights, Role.OUT_PROJ)

    def _scanned(
        self, u: torch.Tensor, head: int, weights: Mapping[str, torch.Tensor], wide: torch.dtype
    ) -> torch.Tensor:
        """One head's channels [T, d] to what its scan puts out."""
        import torch

        made = u @ weights[Role.X_PROJ][head].T
        r, b, c = torch.split(made, [int(self.rank), int(self.state), int(self.state)], dim=-1)
        step = (r @ weights[Role.DT_PROJ][head].T).to(wide) + weights[Role.DT_BIAS][head].to(wide)
        a = -weights[Role.A_LOG][head].to(wide).exp()
        return selective_scan(u.to(wide), torch.nn.functional.softplus(step), a, b.to(wide), c.to(wide))
