"""Records that compare by value, for classes whose constructors take several roles in a row."""

from __future__ import annotations


class Record:
    """Two of one class are equal when all that their `__slots__` hold is.

    Layers whose parts are equal are one kind of layer: this is how they are found.
    """

    __slots__: tuple[str, ...] = ()

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and type(self) is type(other) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({settings})"
