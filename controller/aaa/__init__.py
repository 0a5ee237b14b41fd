"""Who may come in: the sources of subscribers, asked in order, and how credentials are verified."""
