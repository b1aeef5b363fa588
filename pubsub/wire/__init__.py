"""The pubsub protocol in bytes: framing and the RPC."""
