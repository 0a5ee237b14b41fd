"""The LAC side as programs: a client that dials, and an emulator of many."""
