"""station.toml: complete as shipped, refused where it is wrong, silent about secrets."""

from pathlib import Path

import pytest

from guardian.config import ConfigError
from guardian.station.settings import SHIPPED, Settings, load

ROOT = Path(__file__).parent.parent.parent


def test_the_shipped_file_loads_and_names_a_database_in_its_folder() -> None:
    assert load(local=None).database_url() == "sqlite:////var/lib/guardian-station/station.db"


def test_every_number_of_station_toml_is_read_somewhere() -> None:
    """A key that nothing reads is a lie to whoever tunes it."""
    source = "\n".join(path.read_text() for path in (ROOT / "guardian").rglob("*.py"))
    shipped = load(local=None)
    sections = [name for name in Settings.__struct_fields__ if name not in ("wearers", "contacts")]
    unread = [f"{name}.{key}" for name in sections for key in getattr(shipped, name).__struct_fields__ if f".{key}" not in source]
    assert not unread


def test_its_own_file_holds_only_what_differs(tmp_path: Path) -> None:
    local = tmp_path / "station.toml"
    local.write_text(
        '[broker]\nhost = "broker.example"\n[wearers.guardian-01]\nname = "Grandma"\ncontacts = ["keeper"]\n[contacts.keeper]\nurl = "json://x"\n'
    )
    settings = load(local)
    assert settings.broker.host == "broker.example"
    assert settings.wearer("guardian-01").name == "Grandma"
    assert settings.wearer("guardian-01").lost_after_s == 60.0
    assert settings.wearer("guardian-02").contacts == (), "a device that nobody named is watched too"
    assert settings.contact("keeper").severities == ("critical",)


WRONG = [
    ('[broker]\nhots = "x"', "hots"),
    ("[broker]\nport = 70000", "port"),
    ("[broker]\nroot = 'a/b'", "root"),
    ("[broker]\nprotocol = 311\nshare_group = 'care'", "share_group"),
    ("[broker]\nca_file = '/x'", "tls"),
    ("[broker]\npassword_file = '/x'", "username"),
    ("[page]\ncert_file = '/x'", "key_file"),
    ("[wearers.guardian-01]\ncontacts = ['nobody']", r"\[contacts.nobody\]"),
    ("[contacts.keeper]\nseverities = ['critical']", "url or url_file"),
    ("[contacts.keeper]\nurl = 'json://x'\nseverities = ['fatal']", "severities"),
    ("[wearers.'Guardian 01']\nname = 'Grandma'", "wearers"),
    ("[station]\nkeep_days = 0", "keep_days"),
    ("[station]\ndatabase = 'sqlite://'\ndatabase_file = '/x'", "keep one"),
    ("[watch]\nstale_s = 90", "lost_after_s"),
    ("[page", "TOML"),
]


@pytest.mark.parametrize(("text", "named"), WRONG)
def test_what_is_wrong_is_refused_by_file_and_key(tmp_path: Path, text: str, named: str) -> None:
    local = tmp_path / "station.toml"
    local.write_text(text)
    with pytest.raises(ConfigError, match=named) as refused:
        load(local)
    assert str(local) in str(refused.value)


def test_no_secret_is_in_a_repr_or_an_error(tmp_path: Path) -> None:
    secret = "hunter2"
    settings = load(
        None, {"station": {"database": f"postgresql+psycopg://s:{secret}@db/x"}, "contacts": {"keeper": {"url": f"json://{secret}"}}}
    )
    assert secret not in repr(settings) and secret not in str(settings.contacts)
    assert settings.address("keeper") == f"json://{secret}"
    with pytest.raises(ConfigError) as refused:
        load(None, {"contacts": {"keeper": {"url": [secret]}}})
    assert secret not in str(refused.value)


def test_secrets_may_stand_in_files_of_their_own(tmp_path: Path) -> None:
    word = tmp_path / "keeper.url"
    word.write_text("json://secret\n")
    settings = load(None, {"contacts": {"keeper": {"url_file": str(word)}}, "station": {"database_file": str(tmp_path / "absent")}})
    assert settings.address("keeper") == "json://secret"
    with pytest.raises(ConfigError, match=r"station.database_file.*absent"):
        settings.database_url()


def test_the_file_ships_with_the_program() -> None:
    assert SHIPPED.resolve() == ROOT / "firmware_config" / "station.toml"
