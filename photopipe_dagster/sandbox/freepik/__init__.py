"""Simulator of the Freepik (now Magnific) API: as strict as what is known of the real one."""
