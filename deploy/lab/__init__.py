"""Topologies of network namespaces, for the demonstration and the tests."""
