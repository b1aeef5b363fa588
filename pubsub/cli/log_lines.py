"""Warnings that the package logs, said as the command says its other problems."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def warnings_to(say: Callable[[str], None]) -> Iterator[None]:
    """Have `say` called with each warning in the block.

    Without a handler Python writes them to standard error itself, in the middle of
    whatever is written there.
    """
    logger = logging.getLogger("pubsub")
    handler = _Sayer(say)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Sayer(logging.Handler):
    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())
