"""The HTTP listener and the admin socket."""
