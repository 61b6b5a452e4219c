"""Which data there are, and which project may use them until when."""
