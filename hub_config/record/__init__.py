"""What happened: events and the audit trail."""
