"""Tests: the same tree as the code, and property/, netns/, interop/, captures/."""
