"""How a size is written: sums of products of config keys, with like terms together and common factors once.

`2·inner` rather than `inner + inner`, `(heads + 2·kv_heads)·head_dim`, `hidden_size` rather than
`heads·hidden_size/heads`.
"""

from __future__ import annotations

from collections import Counter
from math import gcd

# A product: its factors as they are written, and a number.
Product = tuple[tuple[str, ...], int]
# A sum of products; none is 0.
Sum = tuple[Product, ...]
POWERS = {2: "²", 3: "³"}
# What makes a factor one that is not taken apart.
CLOSED = frozenset("()⌈⌉⌊⌋ ")


def plus(a: Sum, b: Sum) -> Sum:
    """The sum."""
    counts: dict[tuple[str, ...], int] = {}
    for factors, count in (*a, *b):
        like = next((known for known in counts if Counter(known) == Counter(factors)), factors)
        counts[like] = counts.get(like, 0) + count
    return tuple((factors, count) for factors, count in counts.items() if count)


def minus(a: Sum, b: Sum) -> Sum:
    """The difference."""
    return plus(a, tuple((factors, -count) for factors, count in b))


def times(a: Sum, b: Sum) -> Sum:
    """The product; x·(y/x) is y."""
    (left, by_left), (right, by_right) = _product(a), _product(b)
    factors = [*left, *right]
    for fraction in [factor for factor in factors if "/" in factor and CLOSED.isdisjoint(factor)]:
        above, _, below = fraction.rpartition("/")
        if below in factors:
            factors.remove(below)
            place = factors.index(fraction)
            factors[place : place + 1] = above.split("·")
    return ((tuple(factors), by_left * by_right),) if by_left * by_right else ()


def divided(a: Sum, b: Sum) -> Sum:
    """A quotient that is exact."""
    (above, by_above), (below, by_below) = _product(a), _product(b)
    left = Counter(below)
    if Counter(above) >= left and by_below and by_above % by_below == 0:
        kept = list(above)
        for factor in below:
            kept.remove(factor)
        return ((tuple(kept), by_above // by_below),)
    return (((_quotient(a, b),), 1),)


def floored(a: Sum, b: Sum) -> Sum:
    """A quotient that is rounded down."""
    return (((f"⌊{_quotient(a, b)}⌋",), 1),)


def written(terms: Sum) -> str:
    """The expression."""
    if not terms:
        return "0"
    if len(terms) == 1:
        return _written(*terms[0])
    common, number, rest = _taken_out(terms)
    text = _written(*rest[0])
    for factors, count in rest[1:]:
        text += f" {'-' if count < 0 else '+'} {_written(factors, abs(count))}"
    return _written((f"({text})", *common), number) if common or number != 1 else text


def written_as_factor(terms: Sum) -> str:
    """The expression, in brackets where it is a sum."""
    is_sum = len(terms) > 1 and _taken_out(terms)[:2] == ((), 1)
    return f"({written(terms)})" if is_sum else written(terms)


def _product(terms: Sum) -> Product:
    """The expression as one product, a sum as a factor in brackets."""
    if not terms:
        return (), 0
    if len(terms) == 1:
        return terms[0]
    common, number, rest = _taken_out(terms)
    return (f"({written(rest)})", *common), number


def _taken_out(terms: Sum) -> tuple[tuple[str, ...], int, Sum]:
    """The factors and the number that all terms have, and what is left of each."""
    shared = Counter(terms[0][0])
    for factors, _ in terms[1:]:
        shared &= Counter(factors)
    number = gcd(*(count for _, count in terms))
    rest = []
    for factors, count in terms:
        left = list(factors)
        for factor in shared.elements():
            left.remove(factor)
        rest.append((tuple(left), count // number))
    return tuple(shared.elements()), number, tuple(rest)


def _quotient(a: Sum, b: Sum) -> str:
    below = written_as_factor(b)
    factors, number = _product(b)
    is_one = len(factors) + (number != 1) <= 1
    return f"{written_as_factor(a)}/{below if is_one and '/' not in below else f'({below})'}"


def _written(factors: tuple[str, ...], count: int) -> str:
    """A product; a number of 1 is not written, and what comes several times is a power."""
    powers = [
        factor if times == 1 else f"{f'({factor})' if '/' in factor else factor}{POWERS[times]}"
        for factor, times in Counter(factors).items()
        if times in (1, *POWERS)
    ]
    powers += [factor for factor, times in Counter(factors).items() if times > max(POWERS) for _ in range(times)]
    return "·".join([*([str(count)] if count != 1 or not factors else []), *powers])
