"""The REST API, the pages and the metrics: one FastAPI application.

`app.create_app` builds it; `server.serve` runs it. Each module has the routes of one kind, `pages/`
those for people, with templates and static files beside.
"""
