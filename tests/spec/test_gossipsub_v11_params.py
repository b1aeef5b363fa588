"""gossipsub v1.1 §Overview of New Parameters: defaults, and what each parameter may be."""

from __future__ import annotations

from typing import Any

import pytest

from pubsub.errors import ParamError
from pubsub.params import Params
from pubsub.router.events import SetTopic, Subscribe
from pubsub.router.topic_params import TopicParams
from pubsub.score import ScoreParams, TopicScoreParams
from tests.unit.router.dialogue import A, Dialogue


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prune_backoff", 60.0),
        ("unsubscribe_backoff", 10.0),
        ("gossip_factor", 0.25),
        ("d_score", 4),
        ("d_out", 2),
    ],
)
def test_overview_of_new_parameters_reasonable_defaults(name: str, value: float) -> None:
    assert getattr(Params(), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prune_backoff", -1.0),
        ("unsubscribe_backoff", -1.0),
        ("flood_publish", 1),
        ("d_score", -1),
        ("d_score", 1.5),
        ("d_out", -1),
        ("opportunistic_graft_ticks", 0),
    ],
)
def test_overview_of_new_parameters_types_and_ranges(name: str, value: Any) -> None:
    with pytest.raises(ParamError, match=name):
        Params(**{name: value})


# Peer scoring, global

FRACTIONS = [-0.5, 0.0, 1.0, 1.5, float("nan")]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("app_specific_weight", [-0.1]),
        ("ip_colocation_weight", [0.1]),
        ("ip_colocation_threshold", [0, -1, 2.5]),
        ("behaviour_penalty_weight", [0.1]),
        ("behaviour_penalty_decay", FRACTIONS),
        ("decay_to_zero", FRACTIONS),
        ("decay_interval", [0.0, -1.0]),
        ("retain_score", [-1.0]),
        ("topic_score_cap", [-1.0]),
    ],
)
def test_overview_of_new_parameters_constraints_of_a_peer_as_a_whole(
    name: str, values: list[float]
) -> None:
    for value in values:
        with pytest.raises(ParamError, match=name):
            ScoreParams(**{name: value})


def test_overview_of_new_parameters_decay_to_zero_is_close_to_zero() -> None:
    assert 0.0 < ScoreParams().decay_to_zero <= 0.1


# Peer scoring, by topic


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("topic_weight", [-0.1]),
        ("time_in_mesh_weight", [-0.1]),
        ("time_in_mesh_quantum", [0.0, -1.0]),
        ("time_in_mesh_cap", [0.0, -1.0]),
        ("first_message_deliveries_weight", [-0.1]),
        ("first_message_deliveries_decay", FRACTIONS),
        ("first_message_deliveries_cap", [0.0, -1.0]),
        ("mesh_message_deliveries_weight", [0.1]),
        ("mesh_message_deliveries_decay", FRACTIONS),
        ("mesh_message_deliveries_threshold", [0.0, -1.0]),
        ("mesh_message_deliveries_cap", [0.0, 19.9]),  # the threshold is 20
        ("mesh_message_deliveries_activation", [-1.0, 0.5]),
        ("mesh_message_deliveries_window", [-0.001]),
        ("mesh_failure_penalty_weight", [0.1]),
        ("mesh_failure_penalty_decay", FRACTIONS),
        ("invalid_message_deliveries_weight", [0.1]),
        ("invalid_message_deliveries_decay", FRACTIONS),
    ],
)
def test_overview_of_new_parameters_constraints_of_a_topic(name: str, values: list[float]) -> None:
    for value in values:
        with pytest.raises(ParamError, match=name):
            TopicScoreParams(**{name: value})


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (ScoreParams, "app_specific_weight"),
        (ScoreParams, "ip_colocation_weight"),
        (ScoreParams, "behaviour_penalty_weight"),
        (TopicScoreParams, "time_in_mesh_weight"),
        (TopicScoreParams, "first_message_deliveries_weight"),
        (TopicScoreParams, "mesh_message_deliveries_weight"),
        (TopicScoreParams, "mesh_failure_penalty_weight"),
        (TopicScoreParams, "invalid_message_deliveries_weight"),
    ],
)
def test_overview_of_new_parameters_a_weight_of_0_turns_its_parameter_off(
    kind: type[ScoreParams | TopicScoreParams], name: str
) -> None:
    """We deviate: the text wants weights that are above, or below, zero."""
    assert getattr(kind(**{name: 0.0}), name) == 0.0


def test_overview_of_new_parameters_the_delivery_window_is_small() -> None:
    """10 ms by default, as rust and js have it; the text names 1 to 5."""
    assert TopicScoreParams().mesh_message_deliveries_window == 0.010


def test_overview_of_new_parameters_may_differ_by_topic() -> None:
    """Ours, beyond the text: the router's parameters too."""
    dialogue = Dialogue()
    dialogue.do(SetTopic("news", TopicParams(prune_backoff=7.0, d=0, d_low=0, d_high=0)))
    dialogue.do(Subscribe("news"), Subscribe("sport"), A.connects())
    assert dialogue.do(A.grafts("news"))[-1] == "A: PRUNE news 7"
    assert dialogue.do(A.grafts("sport")) == ["A joined sport"]
