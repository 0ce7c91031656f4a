"""Who may log in and what they may see: told as attempts, right and wrong, over days."""

import logging
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from argon2.profiles import CHEAPEST

from guardian.station import tables
from guardian.station.accounts import (
    TRIES_ADDRESS,
    TRIES_HERE,
    TRIES_NAME,
    WINDOW,
    AccountError,
    Accounts,
    Forbidden,
    Refused,
    Visit,
    WeakPassword,
)

PASSWORD = "correct horse battery"
HOME = "192.0.2.7"
START = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)


class Door:
    """The accounts of one database, with a clock moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "station.db"
        self.engine = tables.opened(f"sqlite:///{self.file}", 5.0)
        tables.create(self.engine)
        self.time = START
        self.accounts = Accounts(self.engine, lambda: self.time, CHEAPEST)

    def knocks(self, name: str = "keeper", password: str = "wrong password", address: str = HOME) -> str:
        """What comes of an attempt: "in", "wrong" or "wait"."""
        try:
            self.accounts.log_in(name, password, address)
        except Refused as refused:
            return refused.why
        return "in"

    def comes_in(self, name: str = "keeper") -> tuple[str, Visit]:
        return self.accounts.log_in(name, PASSWORD, HOME)

    def stored(self) -> str:
        """Everything in the database, as text."""
        with sqlite3.connect(self.file) as plain:
            return "\n".join(plain.iterdump())


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    made = Door(tmp_path)
    made.accounts.add("keeper", PASSWORD, "admin")
    made.accounts.add("daughter", PASSWORD, "carer", ["guardian-01"])
    yield made
    made.engine.dispose()


def test_the_right_password_opens_and_the_token_is_known_from_then_on(door: Door) -> None:
    token, visit = door.comes_in()
    assert door.accounts.visit(token) == visit
    assert visit.person.name == "keeper"
    assert door.accounts.visit(token[:-1]) is None
    assert door.accounts.visit("") is None


def test_names_are_typed_with_capitals_and_spaces_by_phones(door: Door) -> None:
    assert door.knocks(" Keeper ", PASSWORD) == "in"


def test_whoever_reads_the_database_can_log_in_with_nothing_in_it(door: Door) -> None:
    token, _ = door.comes_in()
    stored = door.stored()
    assert "argon2id" in stored and PASSWORD not in stored and token not in stored
    for word in set(stored.replace("'", " ").replace(",", " ").split()):
        assert door.accounts.visit(word) is None


def test_the_kept_hash_costs_what_rfc_9106_says_and_an_old_one_grows_at_the_next_login(door: Door) -> None:
    grown = Accounts(door.engine, lambda: door.time)
    grown.add("max", PASSWORD, "admin")
    dear = "$argon2id$v=19$m=65536,t=3,p=4$"
    assert door.stored().count(dear) == 1
    grown.log_in("keeper", PASSWORD, HOME)
    assert door.stored().count(dear) == 2
    assert grown.log_in("keeper", PASSWORD, HOME)


def test_an_unknown_name_gets_the_same_answer_and_costs_the_same_work(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    verify = door.accounts._verify

    def counted(kept: str, password: str) -> bool:
        compared.append(kept.rsplit("$", 2)[0])
        return verify(kept, password)

    monkeypatch.setattr(door.accounts, "_verify", counted)
    assert [door.knocks("keeper"), door.knocks("nobody")] == ["wrong", "wrong"]
    assert compared[0] == compared[1], "the same function with the same parameters"


def test_the_sixth_guess_waits_even_if_it_is_right_and_not_for_ever(door: Door) -> None:
    assert [door.knocks() for _ in range(TRIES_HERE)] == ["wrong"] * TRIES_HERE
    assert door.knocks(password=PASSWORD) == "wait"
    assert door.knocks("daughter", PASSWORD) == "in", "another name at that address may still try"
    assert door.knocks(password=PASSWORD, address="192.0.2.8") == "in", "and keeper from elsewhere"
    door.time += WINDOW + timedelta(seconds=1)
    assert door.knocks(password=PASSWORD) == "in"


def test_the_wait_is_told(door: Door) -> None:
    for _ in range(TRIES_HERE):
        door.knocks()
    door.time += timedelta(minutes=5)
    with pytest.raises(Refused) as refused:
        door.accounts.log_in("keeper", PASSWORD, HOME)
    assert refused.value.wait_s == 600


def test_two_stations_count_together(door: Door) -> None:
    other = Accounts(door.engine, lambda: door.time, CHEAPEST)
    for _ in range(TRIES_HERE):
        door.knocks()
    with pytest.raises(Refused, match="wait"):
        other.log_in("keeper", PASSWORD, HOME)


def test_guesses_at_many_names_from_one_address_wait(door: Door) -> None:
    assert [door.knocks(f"name{n}") for n in range(TRIES_ADDRESS)] == ["wrong"] * TRIES_ADDRESS
    assert door.knocks("keeper", PASSWORD) == "wait"


def test_one_household_of_ipv6_is_one_address(door: Door) -> None:
    for n in range(TRIES_HERE):
        door.knocks(address=f"2001:db8:1:2::{n}")
    assert door.knocks(password=PASSWORD, address="2001:db8:1:2:ffff::1") == "wait"
    assert door.knocks(password=PASSWORD, address="2001:db8:1:3::1") == "in"


def test_guesses_at_one_name_from_everywhere_wait_too(door: Door) -> None:
    for n in range(TRIES_NAME):
        door.knocks(address=f"198.51.100.{n}")
    assert door.knocks(password=PASSWORD, address="203.0.113.1") == "wait"


def test_a_right_password_forgets_the_typing_errors_before_it(door: Door) -> None:
    for _ in range(3):
        assert [door.knocks() for _ in range(TRIES_HERE - 1)] == ["wrong"] * (TRIES_HERE - 1)
        assert door.knocks(password=PASSWORD) == "in"


def test_a_password_typed_into_the_name_is_neither_stored_nor_logged(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert door.knocks("my secret password 1", "") == "wrong"
    assert "my secret" not in door.stored() and "my secret" not in caplog.text
    assert "an unknown user" in caplog.text


def test_no_secret_is_in_the_log_or_a_repr(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token, visit = door.comes_in()
    door.knocks(password="a wrong password")
    door.accounts.change_password(visit, PASSWORD, "another good one", HOME)
    said = caplog.text + repr(visit)
    for secret in (PASSWORD, "a wrong password", "another good one", token, visit.csrf, visit.login):
        assert secret not in said
    assert "login of keeper from 192.0.2.7" in said


def test_a_login_that_is_not_used_for_a_week_is_over_and_an_open_page_keeps_it(door: Door) -> None:
    token, _ = door.comes_in()
    for _ in range(3):
        door.time += timedelta(days=6)
        assert door.accounts.visit(token) is not None
    door.time += timedelta(days=7, seconds=1)
    assert door.accounts.visit(token) is None


def test_after_thirty_days_everybody_logs_in_again(door: Door) -> None:
    token, _ = door.comes_in()
    for _ in range(29):
        door.time += timedelta(days=1)
        assert door.accounts.visit(token) is not None
    door.time += timedelta(days=1, seconds=1)
    assert door.accounts.visit(token) is None


def test_logging_out_ends_this_login_and_everywhere_all(door: Door) -> None:
    (first, one), (second, _), (third, _) = (door.comes_in() for _ in range(3))
    door.accounts.log_out(one)
    assert [door.accounts.visit(token) is not None for token in (first, second, third)] == [False, True, True]
    door.accounts.log_out_everywhere("keeper")
    assert [door.accounts.visit(token) for token in (second, third)] == [None, None]


def test_a_carer_sees_the_named_wearers_alone(door: Door) -> None:
    _, daughter = door.comes_in("daughter")
    assert door.accounts.require(daughter, "guardian-01").name == "daughter"
    with pytest.raises(Forbidden):
        door.accounts.require(daughter, "guardian-02")
    _, keeper = door.comes_in("keeper")
    assert door.accounts.require(keeper, "guardian-02").role == "admin"


def test_rights_that_are_taken_away_are_gone_at_the_next_click(door: Door) -> None:
    _, daughter = door.comes_in("daughter")
    door.accounts.change("daughter", "carer", ["guardian-02"])
    with pytest.raises(Forbidden):
        door.accounts.require(daughter, "guardian-01")
    assert door.accounts.require(daughter, "guardian-02")
    door.accounts.remove("daughter")
    with pytest.raises(Forbidden):
        door.accounts.require(daughter, "guardian-02")


def test_another_password_ends_all_other_logins_and_needs_the_old_one(door: Door) -> None:
    (here, visit), (elsewhere, _) = door.comes_in(), door.comes_in()
    with pytest.raises(Refused, match="wrong"):
        door.accounts.change_password(visit, "not the old one", "another good one", HOME)
    door.accounts.change_password(visit, PASSWORD, "another good one", HOME)
    assert door.accounts.visit(here) and door.accounts.visit(elsewhere) is None
    assert door.knocks(password=PASSWORD) == "wrong"
    assert door.knocks(password="another good one") == "in"


def test_the_old_password_cannot_be_guessed_on_a_page_left_open(door: Door) -> None:
    _, visit = door.comes_in()
    for _ in range(TRIES_HERE):
        with pytest.raises(Refused, match="wrong"):
            door.accounts.change_password(visit, "guess", "another good one", HOME)
    with pytest.raises(Refused, match="wait"):
        door.accounts.change_password(visit, PASSWORD, "another good one", HOME)


def test_a_password_set_by_the_keeper_ends_every_login(door: Door) -> None:
    token, _ = door.comes_in()
    door.accounts.set_password("keeper", "another good one")
    assert door.accounts.visit(token) is None


@pytest.mark.parametrize(
    ("password", "why"),
    [("nine char", "short"), ("x" * 257, "long"), ("ababababab", "simple"), ("ilovekeeperverymuch", "name"), ("KEEPER4ever4ever", "name")],
)
def test_weak_passwords_are_refused_with_the_rule(door: Door, password: str, why: str) -> None:
    with pytest.raises(WeakPassword) as weak:
        door.accounts.set_password("keeper", password)
    assert weak.value.why == why


def test_the_same_characters_from_another_keyboard_are_the_same_password(door: Door) -> None:
    door.accounts.set_password("keeper", "grüße aus Köln")
    assert door.knocks(password="gru\u0308ße aus Ko\u0308ln") == "in"


@pytest.mark.parametrize("name", ["", "a b", "-a", "<script>", "a" * 61, "ä", "a\nb"])
def test_names_that_could_confuse_are_refused(door: Door, name: str) -> None:
    with pytest.raises(AccountError, match="use letters"):
        door.accounts.add(name, PASSWORD, "admin")


def test_a_carer_of_nobody_an_admin_of_somebody_and_a_second_keeper_are_refused(door: Door) -> None:
    with pytest.raises(AccountError, match="name at least one"):
        door.accounts.add("max", PASSWORD, "carer")
    with pytest.raises(AccountError, match="sees all"):
        door.accounts.add("max", PASSWORD, "admin", ["guardian-01"])
    with pytest.raises(AccountError, match="already"):
        door.accounts.add("Keeper", PASSWORD, "admin")
    with pytest.raises(AccountError, match="no user"):
        door.accounts.remove("max")


def test_anything_may_be_typed_into_the_form(door: Door) -> None:
    for name in ("'; DROP TABLE user; --", "\udcff", "\0", "x" * 4000, "бен"):
        assert door.knocks(name, "\udcff\0'") == "wrong"
        door.time += WINDOW + timedelta(seconds=1)
    assert door.accounts.visit("\udcff") is None
    assert [person.name for person in door.accounts.people()] == ["daughter", "keeper"]
