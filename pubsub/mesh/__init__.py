"""Who is linked to whom: the mesh of each topic, fan-out, backoff and selection. Pure."""
