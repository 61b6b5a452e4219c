"""What people see of the hub: templates, static files, and the data they are fed with."""
