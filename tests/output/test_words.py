"""Numbers as people read them."""

from __future__ import annotations

import pytest

from weightscope.output import words


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"), (999, "999"), (1000, "1.00 K"), (11776, "11.8 K"), (134515008, "135 M"), (8030261248, "8.03 B"),
        (671026404352, "671 B"), (1026408209408, "1.03 T"), (9_996, "10.0 K"), (99_960, "100 K"), (999_600, "1.00 M"),
        (999_999, "1.00 M"), (58_407_930_000_000_000, "58.4 P"), (2 * 10**18, "2.00 E"),
    ],
)  # fmt: skip
def test_short(number: int, text: str) -> None:
    assert words.short(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (16060522496, "16.1 GB"),
        (688586727753, "689 GB"),
        (2048, "2.05 kB"),
        (999_999, "1.00 MB"),
    ],
)
def test_size(number: int, text: str) -> None:
    assert words.size(number) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.0 %"), (0.00001, "< 0.1 %"), (0.00049, "< 0.1 %"), (0.0005, "0.1 %"), (0.0654, "6.5 %"), (1, "100.0 %")],
)
def test_percent(share: float, text: str) -> None:
    assert words.percent(share) == text


@pytest.mark.parametrize(
    ("share", "width", "text"),
    [
        (0, 8, ""),
        (0.0001, 8, "▏"),
        (0.5, 8, "████"),
        (1, 4, "████"),
        (0.51, 8, "████▏"),
        (2, 4, "████"),
        (0.3125, 2, "▋"),
    ],
)
def test_bar(share: float, width: int, text: str) -> None:
    assert words.bar(share, width) == text


def test_plural() -> None:
    assert [words.plural(n, "shard") for n in (0, 1, 1000)] == ["0 shards", "1 shard", "1,000 shards"]
