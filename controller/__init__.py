"""Decides: tunnels, sessions, users, addresses, and which worker gets what."""
