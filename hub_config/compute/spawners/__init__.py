"""From a ``ServerPlan`` to a container or a process: the only modules that know an engine."""
