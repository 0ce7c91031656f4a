"""What an alarm turned out to be: one tap after it was cleared, kept with its event. It is what the alarms are tuned by later."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import get_args

from guardian.station import words
from guardian.station.alarms import CHAIN, CLOSING
from guardian.station.pages.tags import Tag, icon, told
from guardian.station.pages.viewer import Viewer
from guardian.station.store import Feedback, Store
from guardian.station.tables import Event

ASK_FOR = timedelta(days=7)  # later nobody remembers
SIGNS: dict[Feedback, str] = {"false_alarm": "do_not_disturb_on", "helped": "volunteer_activism", "injured": "medical_services"}
ANSWERS: tuple[Feedback, ...] = get_args(Feedback)


def ask_about(store: Store, device: str, now: datetime) -> Event | None:
    """The newest alarm of a wearer that was cleared, if nobody has said yet what it was."""
    told = store.events([device], since=now - ASK_FOR, event_types=CHAIN, limit=50)
    last = next((place for place, one in enumerate(told) if one.event_type in CLOSING), None)
    if last is None or told[last].event_type != "cleared" or last + 1 == len(told):
        return None
    alarm_id = store.alarm_of(told[last + 1].id)  # of what came before it was cleared
    opened = store.event(alarm_id) if alarm_id else None
    return opened if opened is not None and opened.feedback is None else None


class Question:
    """The question, where there is one."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._event: Event | None = None
        self._answered: set[str] = set()
        with Tag("section", "card stack ask", role="status", hidden=True) as self._card:
            with Tag("div"):
                Tag("h2", text=viewer.say("feedback.ask"))
                self._what = Tag("p")
                Tag("p", "soft small", viewer.say("feedback.why"))
            with Tag("div", "choices"):
                for answer in ANSWERS:
                    with Tag("button", "button", type="button", data_feedback=answer).on("click", partial(self._answer, answer), args=[]):
                        icon(SIGNS[answer])
                        Tag("span", text=viewer.say(f"feedback.{answer}"))

    def update(self, event: Event | None) -> None:
        """Ask about this alarm, or about none."""
        self._event = event if event is not None and event.id not in self._answered else None
        if self._event is not None and self._card.props.get("hidden"):
            self._viewer.client.run_javascript(f"getHtmlElement({self._card.id})?.scrollIntoView({{block: 'center'}})")
        self._card.show(self._event is not None)
        if self._event is not None:
            self._what.say(f"{words.event(self._event.event_type, self._viewer.language)}, {self._viewer.at(self._event.at)}")

    async def _answer(self, answer: Feedback) -> None:
        event, viewer = self._event, self._viewer
        if event is None:
            return
        keep: Callable[[], bool] = lambda: viewer.parts.store.set_feedback(event.id, answer, viewer.person.name, viewer.now)  # noqa: E731
        if await viewer.write(event.device, keep):
            self._answered.add(event.id)
            self.update(None)
            told(viewer.say("feedback.thanks"))
