"""All that Dagster loads: assets, sensors, schedules, jobs, resources and storage classes.

`definitions.py`, beside this folder, enumerates them.
"""
