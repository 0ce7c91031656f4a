"""guardian station test-push: does a message reach each contact? Asked before an alarm asks it."""

from msgspec import Struct

from guardian.config import ConfigError
from guardian.contract import Severity
from guardian.station.delivery import Deliver, deliver
from guardian.station.message import trial_message
from guardian.station.settings import Settings
from guardian.station.store import Store


class Trial(Struct, frozen=True):
    """What became of a test message. `why`: "" it is out, else why not (no secret in it)."""

    contact: str
    severities: tuple[Severity, ...]
    why: str


def ring(settings: Settings, store: Store, wearer: str, deliver: Deliver = deliver) -> list[Trial]:
    """Send a test message to each contact of a wearer (a device's id, or a name), one after the other, as loud as an alarm.

    Raises ConfigError for a wearer that there is not, or one without contacts.
    """
    names = {row.device: row.name for row in store.wearers()}
    names |= {device: row.name or names.get(device, device) for device, row in settings.wearers.items()}
    device = wearer if wearer in names else next((device for device, name in names.items() if name == wearer), None)
    if device is None:
        raise ConfigError(f"there is no wearer {wearer!r}: known are {', '.join(f'{d} ({n})' for d, n in sorted(names.items())) or 'none'}")
    trials = []
    for contact in settings.wearer(device).contacts:
        plan = settings.contact(contact)
        try:
            why = deliver(settings.address(contact), trial_message(names[device], plan.language))
        except ConfigError as error:
            why = str(error)
        trials.append(Trial(contact, plan.severities, why))
    if not trials:
        raise ConfigError(f"{device} has no contacts: give wearers.{device}.contacts or push.contacts in station.toml")
    return trials
