"""Property tests draw the same examples every time: a pass stays a pass."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
