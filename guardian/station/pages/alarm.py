"""The card of somebody who needs help: who, what, since when, and the one big button. The same on the overview and on their own page."""

from datetime import timedelta

from guardian.station import words
from guardian.station.live import Picture
from guardian.station.pages.marks import STATUSES
from guardian.station.pages.tags import Tag, icon, link
from guardian.station.pages.viewer import Viewer

HEARD_WITHIN = timedelta(seconds=10)  # a device in contact answers within one; then somebody should go and look


def wants_card(picture: Picture) -> bool:
    """Whether somebody may be in need, or has been and it is not over."""
    return picture.urgency <= 1 or picture.alarm is not None


class AlarmCard:
    """Updated in place, so that a finger on its button never lands on another person's."""

    def __init__(self, viewer: Viewer, picture: Picture, own_page: bool = False) -> None:
        self._viewer, self._picture = viewer, picture
        say, name = viewer.say, picture.name
        self._card = Tag("section", "alarm", role="alert", aria_atomic="false", aria_label=name, data_device=picture.device)
        with self._card:
            with Tag("div", "top"):
                self._sign = icon("")
                with Tag("div"):
                    self._who = Tag("h2", "who", name)
                    self._what = Tag("p", "what")
                    self._since = Tag("p", "since", aria_live="off")
            self._facts = Tag("p", "facts-line")
            self._ack = Tag("button", "ack", type="button", aria_label=say("alarm.acknowledge_for", name=name))
            with self._ack:
                Tag("span", text=say("alarm.acknowledge"))
                Tag("small", text=say("alarm.acknowledge_why", name=name))
            self._ack.on("click", self._acknowledge, args=[])
            self._seen = Tag("button", "ack", type="button", aria_label=say("alarm.seen_for", name=name))
            with self._seen:
                Tag("span", text=say("alarm.seen"))
                Tag("small", text=say("alarm.seen_why"))
            self._seen.on("click", self._look, args=[])
            self._again = Tag("button", "button", say("alarm.ack_again"), type="button").on("click", self._acknowledge, args=[])
            if not own_page:
                link(say("alarm.open", name=name), f"/wearer/{picture.device}", "more")
        self.update(picture)

    def update(self, picture: Picture) -> None:
        """Show this now."""
        self._picture = picture
        viewer, alarm = self._viewer, picture.alarm
        held = alarm is not None and alarm.acknowledged_by is not None
        seen = (picture.device, picture.status) in viewer.looking
        self._card.classes(add="held" if held or seen else "", remove="" if held or seen else "held")
        self._sign.put(data_sign=STATUSES[picture.status][1])
        self._who.say(picture.name)
        kind = alarm.event_type if held and alarm and alarm.event_type else None
        self._what.say(words.event(kind, viewer.language) if kind else viewer.say(f"status.{picture.status}"))
        self._since.say(viewer.ago(alarm.since if alarm and alarm.since else picture.heard_at))
        self._facts.say(" ".join(self._lines(picture)))
        self._ack.show(alarm is not None and not held)
        self._seen.show(alarm is None and not seen)
        self._again.show(held and self._unheard(picture))

    def remove(self) -> None:
        """It is over."""
        self._card.delete()

    def _lines(self, picture: Picture) -> list[str]:
        viewer, alarm, lines = self._viewer, picture.alarm, []
        if alarm is not None and alarm.acknowledged_by is not None:
            who = alarm.acknowledged_by or viewer.say("alarm.somebody")
            lines.append(viewer.say("alarm.acknowledged_by", who=who) + ".")
            if alarm.heard_at is not None:
                lines.append(viewer.say("alarm.ack_heard", name=picture.name))
            else:
                lines.append(viewer.say("alarm.ack_unheard" if self._unheard(picture) else "alarm.ack_sent", name=picture.name))
        if picture.contact not in ("live", "stale"):
            lines.append(viewer.say("alarm.blind"))
        return lines

    def _unheard(self, picture: Picture) -> bool:
        alarm = picture.alarm
        if alarm is None or alarm.acknowledged_at is None or alarm.heard_at is not None:
            return False
        return self._viewer.now - alarm.acknowledged_at > HEARD_WITHIN

    async def _acknowledge(self) -> None:
        alarm, device, command = self._picture.alarm, self._picture.device, self._viewer.parts.command
        if alarm is not None:
            await self._viewer.command(device, lambda: command.ack(device, alarm.id, self._viewer.person.name))

    def _look(self) -> None:
        self._viewer.looking.add((self._picture.device, self._picture.status))
        self.update(self._picture)


class AlarmCards:
    """One card for each of those who want one, the most urgent first."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._cards: dict[str, AlarmCard] = {}
        self._place = Tag("div", "alarms", aria_label=viewer.say("alarm.region"), role="region")

    def update(self, pictures: list[Picture]) -> None:
        """Show these. New ones come below: what stands above a finger must not move under it."""
        wanted = {one.device: one for one in pictures if wants_card(one)}
        for device in [one for one in self._cards if one not in wanted]:
            self._cards.pop(device).remove()
        for device, picture in wanted.items():
            if device in self._cards:
                self._cards[device].update(picture)
            else:
                with self._place:
                    self._cards[device] = AlarmCard(self._viewer, picture)
        self._place.show(bool(wanted))
