"""The shop's own themes: revisions that never change, and nobody's edit is lost."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import event, text

from photopipe_dagster.core.errors import ConflictError, PhotoRejectedError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster_tests.unit.ledger.conftest import Clock

SETTINGS = Settings(_env_file=None)
BEACH = replace(THEMES["outdoors"], name="beach", local_scene="outdoors")


def test_the_last_revision_counts_and_the_others_stay(ledger: Ledger, clock: Clock) -> None:
    ledger.themes.save(BEACH, based_on=0, by="Ann")
    clock.move(60)
    made = ledger.themes.save(replace(BEACH, alt="on sand"), based_on=1, by="Eva")
    assert (made.revision, made.made_by, made.made_at) == (2, "Eva", clock.now)
    assert [each.theme.alt for each in ledger.themes.history("beach")] == [BEACH.alt, "on sand"]
    assert ledger.themes.all() == (made,)
    assert ledger.themes.registry(SETTINGS).get("beach").alt == "on sand"
    assert ledger.themes.registry(SETTINGS).revision("beach") == 2
    assert ledger.themes.registry(SETTINGS).revision("kitchen") is None
    again = ledger.themes.save(made.theme, based_on=2, by="Tom")
    assert again == made  # nothing would change


def test_who_edits_an_earlier_revision_is_told_who_changed_what(
    ledger: Ledger, clock: Clock
) -> None:
    ledger.themes.save(BEACH, based_on=0, by="Ann")
    ledger.themes.save(replace(BEACH, canvas="4:5"), based_on=1, by="Eva")
    ledger.themes.save(replace(BEACH, canvas="4:5"), based_on=2, by="Tom", archived=True)
    with pytest.raises(ConflictError) as caught:
        ledger.themes.save(replace(BEACH, alt="on sand"), based_on=1, by="Ann")
    told = str(caught.value)
    for part in ("revision 3", "Eva changed canvas at 2026-11-01 12:00", "Tom archived it"):
        assert part in told
    assert len(ledger.themes.history("beach")) == 3
    for based_on in (0, 9):
        with pytest.raises(ConflictError, match="beach"):
            ledger.themes.save(BEACH, based_on=based_on, by="Ann")


def test_of_many_edits_at_once_one_is_saved(ledger: Ledger) -> None:
    ledger.themes.save(BEACH, based_on=0, by="Ann")
    ready, saved, refused = threading.Barrier(6), [], []

    def edit(number: int) -> None:
        ready.wait()
        try:
            saved.append(ledger.themes.save(replace(BEACH, alt=f"{number}"), based_on=1, by="x"))
        except ConflictError as error:
            refused.append(error)

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(saved), len(refused)) == (1, 5)
    assert ledger.themes.all() == tuple(saved)


def test_an_archived_theme_is_offered_no_more_and_works(ledger: Ledger) -> None:
    ledger.themes.save(BEACH, based_on=0, by="Ann")
    assert ledger.themes.registry(SETTINGS).offer("beach") == BEACH
    ledger.themes.save(BEACH, based_on=1, by="Ann", archived=True)
    registry = ledger.themes.registry(SETTINGS)
    assert registry.get("beach") == BEACH
    with pytest.raises(PhotoRejectedError):
        registry.offer("beach")
    ledger.themes.save(BEACH, based_on=2, by="Ann")
    assert "beach" in ledger.themes.registry(SETTINGS).offered


def test_another_process_sees_a_change(ledger: Ledger, database_url: str) -> None:
    other = Ledger(database_url)
    assert other.themes.all() == ()
    made = ledger.themes.save(BEACH, based_on=0, by="Ann")
    assert other.themes.all(max_age=60) == ()
    statements: list[str] = []
    event.listen(other.database.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    assert other.themes.all() == (made,)
    assert other.themes.all() == (made,)
    # Twice whether there is something new, and once what it is.
    assert len([each for each in statements if "FROM themes" in each]) == 3
    other.close()


def test_a_row_that_cannot_be_read_hides_no_other(ledger: Ledger, caplog) -> None:
    ledger.themes.save(BEACH, based_on=0, by="Ann")
    ledger.themes.save(replace(BEACH, name="sand"), based_on=0, by="Ann")
    with ledger.database.write() as connection:
        broken = "UPDATE themes SET content = '{\"name\": 1}' WHERE name = 'sand'"
        connection.execute(text(broken))
    fresh = Ledger(str(ledger.database.engine.url.render_as_string(hide_password=False)))
    assert [each.theme for each in fresh.themes.all()] == [BEACH]
    assert "sand" in caplog.text
    fresh.close()
