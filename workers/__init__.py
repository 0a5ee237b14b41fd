"""Moves packets: one process per CPU, each with its shard of the tunnels."""
