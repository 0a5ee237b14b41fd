"""What a router does to one IP packet: read it, clamp it, cut it, refuse it."""
