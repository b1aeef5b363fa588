"""What comes out of a nursery, as callers expect it who need not know that one is there."""

from __future__ import annotations


def only_error(
    group: BaseExceptionGroup[BaseException], raised: BaseException | None
) -> BaseException:
    """The one exception in the nursery's group, or the group where there are several.

    Callers write `except ParamError`; what they `raised` themselves, perhaps a group, comes
    out as it is.
    """
    error: BaseException = group
    # By its leaves: trio makes a group anew when it takes a cancellation out of it.
    if raised is not None and _leaves(raised) == _leaves(group):
        return raised
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]
