"""How properties are judged: imported before any that hypothesis tries.

No property holds or fails by the clock: on a busy machine an example takes what it takes.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "without_clock",
    parent=settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("without_clock")
