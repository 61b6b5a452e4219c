"""Runs, models and drift: grows from the next milestones; may import the public names of ``curation``."""
