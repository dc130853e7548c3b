"""Settings that all tests share."""

from hypothesis import settings

# The same examples on every run and every machine, and no verdict that depends on time: a search
# for new examples is `pytest --hypothesis-profile=default`.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
