"""Wait for a condition with a deadline, never for a time."""

from deploy.lab.processes import LabFailure, wait_for

__all__ = ["LabFailure", "wait_for"]
