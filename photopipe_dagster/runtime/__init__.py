"""What one process shares: the services of a run, leases, slots, circuit breakers, caches.

`services.open_services` is the composition root: it alone reads the registries to open what the
settings name.
"""
