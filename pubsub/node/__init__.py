"""The public node: router, host and discovery, put together on trio."""
