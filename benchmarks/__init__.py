"""Our claims against peers: one command each, one JSON object out."""
