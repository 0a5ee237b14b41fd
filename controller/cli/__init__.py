"""The ``culvert`` command."""
