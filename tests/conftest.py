"""What holds for every test: hypothesis measures no time.

A shared machine stalls now and then, and in a fresh checkout the first draw of text builds a table of all
characters for seconds. Neither says anything about the code.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("culvert", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("culvert")
