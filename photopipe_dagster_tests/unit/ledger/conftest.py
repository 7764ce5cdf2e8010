from datetime import UTC, datetime, timedelta

from photopipe_dagster.core.photo import PhotoKey


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def photo(number: int = 1, theme: str = "default") -> PhotoKey:
    return PhotoKey(f"SKU-{number}", f"{number:064x}", theme)
