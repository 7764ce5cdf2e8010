"""The cache of a run keeps pictures within its budget, those that came first."""

from photopipe_dagster.runtime.picture_cache import PictureCache


def test_what_finds_no_room_is_not_kept_and_what_was_kept_first_stays():
    cache = PictureCache(10)
    for photo, size in (("first", 6), ("second", 5), ("third", 4)):
        cache.keep(photo, "digest", bytes(size))
    assert cache.used == 10
    assert cache.take("second", "digest") is None
    assert cache.take("first", "digest") == bytes(6)
    assert cache.used == 4
    cache.keep("second", "digest", bytes(5))
    assert cache.take("second", "digest") == bytes(5)


def test_a_picture_is_handed_out_once():
    cache = PictureCache(10)
    cache.keep("photo", "digest", b"x")
    assert cache.take("photo", "digest") == b"x"
    assert cache.take("photo", "digest") is None


def test_two_themes_of_a_photo_keep_their_own():
    cache = PictureCache(10)
    cache.keep("kitchen", "digest", b"x")
    cache.keep("luxury", "digest", b"x")
    cache.discard("kitchen")
    assert cache.take("luxury", "digest") == b"x"
    assert cache.used == 0


def test_nothing_is_kept_without_a_budget():
    cache = PictureCache(0)
    cache.keep("photo", "digest", b"x")
    assert cache.take("photo", "digest") is None
