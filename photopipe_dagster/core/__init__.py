"""What every other room stands on, and what knows none of them.

Identity (`photo`), the table of stages (`stages`), recipes, settings, errors, logs, and how
plug-ins are found (`plugins`).
"""
