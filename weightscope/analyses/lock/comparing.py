"""What differs between a lock and a model of today, by role."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weightscope.analyses.lock.record import Lock, LockedWeight
from weightscope.analyses.rules.subject import listed, some
from weightscope.findings import Finding
from weightscope.ranges import summed

HINT = "if the change is meant, write a new lock"


def against_lock(now: Lock, lock: Lock) -> Iterator[Finding]:
    """`lock-mismatch`, an error for each kind of difference; names and files of tensors may have changed."""
    both = [address for address in lock.weights if address in now.weights]
    yield from _named("missing from the model", [a for a in lock.weights if a not in now.weights], lock)
    yield from _named("not in the lock", [a for a in now.weights if a not in lock.weights], now)
    for field, words in (("dtype", "another dtype"), ("shape", "another shape"), ("digest", "other values")):
        yield from _changed(field, words, both, now, lock)
    keys = sorted({*now.config, *lock.config})
    changed = [key for key in keys if now.config.get(key) != lock.config.get(key)]
    for key in changed:
        yield Finding(
            code="lock-mismatch",
            severity="error",
            message=f"config.json: {key} is {now.config.get(key)!r:.80}, in the lock {lock.config.get(key)!r:.80}",
            expected=lock.config.get(key),
            actual=now.config.get(key),
            config=(key,),
            hint=HINT,
        )
    yield from _files(now, lock)


def _changed(field: str, words: str, addresses: Sequence[str], now: Lock, lock: Lock) -> Iterator[Finding]:
    """Of tensors with another shape or dtype, nothing more is said."""

    def differs(field: str, address: str) -> bool:
        new, old = getattr(now.weights[address], field), getattr(lock.weights[address], field)
        return new is not None and old is not None and new != old

    changed = [a for a in addresses if differs(field, a)]
    if field == "digest":
        changed = [a for a in changed if not differs("dtype", a) and not differs("shape", a)]
    if not changed:
        return
    first = changed[0]
    alone = len(changed) == 1 and field != "digest"
    yield Finding(
        code="lock-mismatch",
        severity="error",
        message=f"{some(changed, 'weight')} with {words} than in the lock: {listed(summed(changed))}",
        tensors=_tensors(now.weights[a] for a in changed),
        expected=getattr(lock.weights[first], field) if alone else None,
        actual=getattr(now.weights[first], field) if alone else None,
        hint=HINT,
    )


def _named(words: str, addresses: Sequence[str], of: Lock) -> Iterator[Finding]:
    if addresses:
        yield Finding(
            code="lock-mismatch",
            severity="error",
            message=f"{some(addresses, 'weight')} {'is' if len(addresses) == 1 else 'are'} {words}: "
            f"{listed(summed(addresses))}",
            tensors=_tensors(of.weights[address] for address in addresses),
            hint=HINT,
        )


def _files(now: Lock, lock: Lock) -> Iterator[Finding]:
    if lock.files is None or now.files is None:
        return
    for name, file in lock.files.items():
        found = now.files.get(name)
        if found is None or found.sha256 != file.sha256:
            yield Finding(
                code="lock-mismatch",
                severity="error",
                message=f"{name} {'is missing' if found is None else 'has other content'}, says the lock",
                expected=file.sha256,
                actual=found.sha256 if found else None,
                hint=HINT,
            )


def _tensors(weights: Iterator[LockedWeight]) -> tuple[str, ...]:
    return tuple(summed(dict.fromkeys(name for weight in weights for name in weight.names)))
