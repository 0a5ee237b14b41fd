"""The TOML configuration: its model, and errors that name file and key."""
