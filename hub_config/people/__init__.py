"""Who somebody is: claims, roles, login."""
