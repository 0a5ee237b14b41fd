"""What the controller and its workers say to each other over ZeroMQ."""
