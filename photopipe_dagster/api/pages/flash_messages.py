"""What pages say after a form was sent: a text for each word, so that a URL can say no more."""

from __future__ import annotations

from typing import Final

NOTICES: Final = {
    "retried": "It is tried again: the daemon takes it up within seconds.",
    "retried_later": "It goes out again as soon as there is budget for it.",
    "cancelled": "It is stopped. Nothing more is done or paid for it until somebody retries it.",
    "background": "Another background is on its way; the cut-out stays. It takes a minute.",
    "published_again": "It goes out again, and is on its product within a minute.",
    "unpublished": "It is off its product. The file stays in the shop.",
    "unpublished_restored": "It is off its product, and what stood there before is back.",
    "unpublished_lost": (
        "It is off its product. What stood there before is gone from the shop and cannot come back."
    ),
    "nothing_published": "Nothing of it is on a product.",
    "approved": "Approved: it is published within seconds.",
    "rejected": "Rejected: it is not published.",
    "batch_begun": "It has begun. Photos that come in meanwhile overtake it.",
    "batch_cancelled": "It is cancelled: what waited is not made. What is under way is finished.",
    "batch_not_waiting": "Nothing of it waits any more: there was nothing to cancel.",
    "signed_out": "You are signed out.",
}


def notice(said: str | None) -> str | None:
    """The text of a word; ``None`` for any other."""
    return NOTICES.get(said or "")
