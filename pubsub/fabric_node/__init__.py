"""A Fabric peer on a node: what touches files, sockets and clocks."""
