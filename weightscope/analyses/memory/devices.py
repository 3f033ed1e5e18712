"""What devices have: memory and its bandwidth, as their makers' data sheets say."""

from __future__ import annotations

import re

import msgspec

from weightscope.errors import UsageError

UNITS = {"kb": 10**3, "gb": 10**9, "gib": 2**30, "g": 10**9, "mb": 10**6, "mib": 2**20, "tb": 10**12, "tib": 2**40}
SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([a-z]+)")


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """`memory` in bytes, its `bandwidth` in bytes a second, and who says so; a size alone has neither of these two."""

    name: str
    memory: int
    bandwidth: int | None = None
    source: str | None = None


# Gigabytes and gigabytes a second. A data sheet's gigabyte is taken as 10^9 bytes: no device has less.
_TABLE = (
    ("t4", 16, 320, "NVIDIA T4 data sheet"),
    ("v100-32g", 32, 900, "NVIDIA V100 data sheet, SXM2"),
    ("a10", 24, 600, "NVIDIA A10 data sheet"),
    ("a40", 48, 696, "NVIDIA A40 data sheet"),
    ("a100-40g", 40, 1555, "NVIDIA A100 data sheet, SXM"),
    ("a100-80g", 80, 2039, "NVIDIA A100 data sheet, SXM"),
    ("a100-pcie", 80, 1935, "NVIDIA A100 data sheet, PCIe"),
    ("l4", 24, 300, "NVIDIA L4 data sheet"),
    ("l40s", 48, 864, "NVIDIA L40S data sheet"),
    ("h100-80g", 80, 3350, "NVIDIA H100 data sheet, SXM"),
    ("h100-pcie", 80, 2000, "NVIDIA H100 data sheet, PCIe"),
    ("h100-nvl", 94, 3900, "NVIDIA H100 data sheet, NVL"),
    ("h200", 141, 4800, "NVIDIA H200 data sheet, SXM"),
    ("gh200-96g", 96, 4000, "NVIDIA GH200 data sheet, HBM3"),
    ("gh200-144g", 144, 4900, "NVIDIA GH200 data sheet, HBM3e"),
    ("b200", 180, 8000, "NVIDIA HGX B200 data sheet"),
    ("b300", 288, 8000, "NVIDIA Blackwell Ultra data sheet"),
    ("rtx-a6000", 48, 768, "NVIDIA RTX A6000 data sheet"),
    ("rtx-6000-ada", 48, 960, "NVIDIA RTX 6000 Ada Generation data sheet"),
    ("rtx-pro-6000", 96, 1792, "NVIDIA RTX PRO 6000 Blackwell data sheet"),
    ("rtx3060", 12, 360, "NVIDIA GeForce RTX 3060 specifications"),
    ("rtx3090", 24, 936, "NVIDIA GeForce RTX 3090 specifications"),
    ("rtx4060ti-16g", 16, 288, "NVIDIA GeForce RTX 4060 Ti specifications"),
    ("rtx4080", 16, 717, "NVIDIA GeForce RTX 4080 specifications"),
    ("rtx4090", 24, 1008, "NVIDIA GeForce RTX 4090 specifications"),
    ("rtx5080", 16, 960, "NVIDIA GeForce RTX 5080 specifications"),
    ("rtx5090", 32, 1792, "NVIDIA GeForce RTX 5090 specifications"),
    ("mi300x", 192, 5300, "AMD Instinct MI300X data sheet"),
    ("mi325x", 256, 6000, "AMD Instinct MI325X data sheet"),
    ("mi350x", 288, 8000, "AMD Instinct MI350X data sheet"),
    ("mi355x", 288, 8000, "AMD Instinct MI355X data sheet"),
)
DEVICES = {
    name: Device(name=name, memory=memory * 10**9, bandwidth=bandwidth * 10**9, source=source)
    for name, memory, bandwidth, source in _TABLE
}
ALIASES = {
    "v100": "v100-32g", "a100": "a100-80g", "h100": "h100-80g", "h100sxm": "h100-80g", "a100sxm": "a100-80g",
    "a6000": "rtx-a6000", "6000ada": "rtx-6000-ada",
}  # fmt: skip
# By their names without dashes: `RTX 4090` and `rtx-4090` are the same.
BY_NAME = {name.replace("-", ""): found for name, found in DEVICES.items()} | {
    alias: DEVICES[name] for alias, name in ALIASES.items()
}


def device(text: str) -> Device:
    """The device that was named, or one of the size that was named.

    Raises:
        UsageError: there is no such device, and it is no size.
    """
    name = text.strip().lower()
    found = BY_NAME.get(re.sub(r"[-_ ]", "", name))
    if found is not None:
        return found
    match = SIZE.fullmatch(name)
    size = int(float(match[1]) * UNITS[match[2]]) if match and match[2] in UNITS else 0
    if not size:
        raise UsageError(
            f"--gpu has no device {text!r:.60}", hint=f"write a size, such as 24GiB, or one of {', '.join(DEVICES)}"
        )
    return Device(name=text.strip(), memory=size)
