"""How Culvert is run, and the lab it is shown in."""
