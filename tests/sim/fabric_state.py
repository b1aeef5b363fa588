"""All that a peer holds, as plain values that can be compared."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from google.protobuf.message import Message

PLAIN = (int, float, str, bytes, bool, type(None), Enum)


@dataclass
class Taker:
    """Walks over the parts of an object. `passed_over` names attributes, or Class.attribute."""

    passed_over: frozenset[str]
    parts: int = 0
    "How many there were."

    _taken: dict[int, object] = field(default_factory=dict)

    def take(self, value: object) -> Any:
        self.parts += 1
        if isinstance(value, PLAIN):
            return value
        if isinstance(value, FunctionType | MethodType | partial | type):
            return None
        if isinstance(value, Message):
            return value.SerializeToString(deterministic=True)
        if id(value) in self._taken:
            return "taken already"
        self._taken[id(value)] = value
        return self._parts_of(value)

    def _parts_of(self, value: object) -> Any:
        if isinstance(value, Mapping):
            return {self._key(key): self.take(one) for key, one in value.items()}
        if isinstance(value, list | tuple | deque):
            return [self.take(one) for one in value]
        if isinstance(value, set | frozenset):
            return {self._key(one) for one in value}
        if not type(value).__module__.startswith("pubsub."):
            return type(value).__name__
        names = [*getattr(value, "__dict__", ()), *_slots(type(value))]
        kind = type(value).__name__
        return {
            name: self.take(getattr(value, name))
            for name in names
            if f"{kind}.{name}" not in self.passed_over and name not in self.passed_over
        }

    def _key(self, key: object) -> object:
        self.parts += 1
        return key if isinstance(key, (*PLAIN, tuple)) else repr(key)


def _slots(kind: type) -> list[str]:
    return [name for each in kind.__mro__ for name in getattr(each, "__slots__", ())]


def differences(before: Any, after: Any, where: str = "") -> list[str]:
    """Where two taken states differ, shortly."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = [*before, *(name for name in after if name not in before)]
        found: list[str] = []
        for name in names:
            if name not in before or name not in after:
                found.append(f"{where}.{name!r}: {'new' if name in after else 'gone'}")
            else:
                found += differences(before[name], after[name], f"{where}.{name}")
        return found
    return [] if before == after else [f"{where}: {before!r:.80} → {after!r:.80}"]
