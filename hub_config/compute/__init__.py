"""What a server gets: profiles, the plan of a server, and the engines that start it."""
