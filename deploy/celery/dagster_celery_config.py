"""How Celery workers reach the broker; `dagster_celery` imports this module by its name."""

import os

broker_url = os.environ["CELERY_BROKER_URL"]
result_backend = os.environ["CELERY_RESULT_BACKEND"]
worker_prefetch_multiplier = 1
broker_connection_retry_on_startup = True
