"""What people do with themes, and what is refused before a photo fails for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from photopipe_dagster.core.errors import ConflictError, InvalidRecordError, NotFoundError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.operations import themes
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster_tests.support.ledgers import new_ledger


@pytest.fixture
def ledger(tmp_path: Path):
    ledger = Ledger(f"sqlite:///{new_ledger(tmp_path)}")
    yield ledger
    ledger.close()


def settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)


def test_what_ships_is_copied_and_the_copy_is_drawn_like_it(ledger: Ledger) -> None:
    made = themes.copy_theme(settings(), ledger, "kitchen", "our-kitchen", by="Ann")
    assert (made.theme.drawn_as, made.revision) == ("kitchen", 1)
    assert themes.find_theme(ledger, "our-kitchen") == made.theme
    again = themes.copy_theme(settings(), ledger, "our-kitchen", "second", by="Ann")
    assert again.theme.drawn_as == "kitchen"
    assert themes.find_theme(ledger, "kitchen") is THEMES["kitchen"]


def test_what_ships_is_read_only(ledger: Ledger) -> None:
    kitchen = THEMES["kitchen"]
    with pytest.raises(ConflictError, match="built in"):
        themes.create_theme(settings(), ledger, kitchen, by="Ann")
    with pytest.raises(InvalidRecordError, match="theme copy kitchen"):
        themes.edit_theme(settings(), ledger, kitchen, based_on=1, by="Ann")
    with pytest.raises(InvalidRecordError, match="theme copy kitchen"):
        themes.archive_theme(settings(), ledger, "kitchen", based_on=1, by="Ann")
    for find in (themes.find_theme, themes.history_of):
        with pytest.raises(NotFoundError, match="moon"):
            find(ledger, "moon")


def test_a_theme_is_archived_and_brought_back_by_an_edit(ledger: Ledger) -> None:
    made = themes.copy_theme(settings(), ledger, "kitchen", "ours", by="Ann")
    default = settings(default_theme="ours")
    with pytest.raises(InvalidRecordError, match="DEFAULT_THEME"):
        themes.archive_theme(default, ledger, "ours", based_on=1, by="Ann")
    assert themes.archive_theme(settings(), ledger, "ours", based_on=1, by="Ann").archived
    with pytest.raises(ConflictError, match="Ann archived it"):
        themes.edit_theme(settings(), ledger, made.theme, based_on=1, by="Eva")
    assert not themes.edit_theme(settings(), ledger, made.theme, based_on=2, by="Eva").archived


FREEPIK = {"ai_provider": "freepik"}


@pytest.mark.parametrize(
    ("changed", "chosen", "says"),
    [
        ({"name": "a_b"}, {}, "name"),
        ({"background": "freepik"}, {}, "background: .*BACKGROUND_PROVIDER"),
        ({"background": "moon"}, {}, "background"),
        ({"local_scene": ""}, {}, "local_scene: .*kitchen"),
        ({"local_scene": "moon"}, FREEPIK, "local_scene"),
        ({"looks": ("moon",)}, {}, "looks"),
        ({"scenes": ("moon",)}, FREEPIK, "scenes"),
        ({"prompt": " "}, FREEPIK, "prompt"),
    ],
)
def test_a_theme_that_no_picture_can_be_made_in_is_refused(ledger, changed, chosen, says) -> None:
    theme = replace(THEMES["kitchen"], **({"name": "ours", "local_scene": "kitchen"} | changed))
    with pytest.raises(InvalidRecordError, match=says):
        themes.create_theme(settings(**chosen), ledger, theme, by="Ann")
    assert ledger.themes.all() == ()


@pytest.mark.parametrize("changed", [{"local_scene": ""}, {"background": "white", "prompt": ""}])
def test_a_service_draws_what_the_prompt_says(ledger: Ledger, changed) -> None:
    theme = replace(THEMES["kitchen"], name="ours", **changed)
    assert themes.create_theme(settings(**FREEPIK), ledger, theme, by="Ann").revision == 1
