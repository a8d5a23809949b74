"""What holds for every test: hypothesis judges no speed, which on a busy machine is that of the neighbours."""

from hypothesis import HealthCheck, settings

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
