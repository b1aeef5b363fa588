"""The GossipSub router as a pure machine: events in, effects out."""

from pubsub.router.router import Router

__all__ = ["Router"]
