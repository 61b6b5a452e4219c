"""The parts that run: each a ``ServiceSpec``, kept alive by one supervisor."""
