"""What controller, workers and client have in common. No socket, clock, thread or event loop."""
