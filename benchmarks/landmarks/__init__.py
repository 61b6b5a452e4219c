"""Corresponding anatomical points of two public studies, placed by eye, for judging a co-registration."""
