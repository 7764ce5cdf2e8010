"""What every plug-in keeps to, no matter who wrote it.

A class in `money`, `publishing` or `sources` is subclassed for each plug-in, with the few things
that only its own tests can do: start its service, look into that one's books, make its results
expire. ``docs/plugins.md`` shows how.
"""

import pytest

for _contract in ("money", "publishing", "sources"):
    pytest.register_assert_rewrite(f"{__name__}.{_contract}")
