"""Who may dial in and what they get."""
