"""The TOML configuration: its model, its defaults, and the errors that name file and key."""
