"""Simulators of the services outside: one process, real HTTP, nothing to pay.

`app.create_app` builds the application, `server.serve` runs it, and `server.running_sandbox` runs
it for the length of a test. What it can be made to do wrong is in ``faults.toml``.
"""
