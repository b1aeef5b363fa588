from __future__ import annotations

from pubsub.errors import ParamError
from pubsub.node.nursery_errors import only_error


def test_the_one_error_comes_out_of_all_its_groups() -> None:
    error = ParamError("wrong")
    assert only_error(ExceptionGroup("", [ExceptionGroup("", [error])]), None) is error


def test_several_stay_together() -> None:
    group = ExceptionGroup("", [ParamError("one"), ValueError("two")])
    assert only_error(group, None) is group


def test_what_the_caller_raised_comes_out_as_it_was() -> None:
    raised = ExceptionGroup("the caller's", [ParamError("wrong")])
    assert only_error(ExceptionGroup("trio's", [raised]), raised) is raised
