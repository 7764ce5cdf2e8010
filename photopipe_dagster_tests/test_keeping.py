"""Room for pictures: who comes last lets go."""

from dataclasses import dataclass

from photopipe_dagster.runtime.picture_cache import PictureRoom


@dataclass
class Photo:
    held: int

    def let_go(self) -> None:
        self.held = 0


def test_whoever_finds_no_room_lets_go():
    room, first, second, third = PictureRoom(10), Photo(6), Photo(5), Photo(4)
    for photo in (first, second, third):
        room.settle(photo)
    assert (first.held, second.held, third.held) == (6, 0, 4)
    assert room.used == 10


def test_what_one_keeps_is_counted_once_and_may_change():
    room, photo = PictureRoom(10), Photo(6)
    room.settle(photo)
    photo.held = 9
    room.settle(photo)
    assert (photo.held, room.used) == (9, 9)
    photo.held = 11
    room.settle(photo)
    assert (photo.held, room.used) == (0, 0)


def test_room_is_free_again_when_one_leaves():
    room, first, second = PictureRoom(10), Photo(10), Photo(10)
    room.settle(first)
    room.leave(first)
    room.leave(first)
    room.settle(second)
    assert (second.held, room.used) == (10, 10)


def test_no_room_at_all_keeps_nothing():
    room, photo = PictureRoom(0), Photo(1)
    room.settle(photo)
    assert photo.held == 0
