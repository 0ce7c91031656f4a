"""Every text that a person reads on the page or in a push, in each language, once.

A text may name values in braces: `say("contact.silent", "en", ago="2 min ago")`. Values are put in as they are and never parsed again,
so what comes from the broker can break nothing. Tests hold the table complete: each key in each language, with the same values.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

Language = Literal["en", "de"]
LANGUAGES: dict[Language, str] = {"en": "English", "de": "Deutsch"}  # each by its own name

WORDS: dict[str, dict[Language, str]] = {
    # --- the page itself
    "page.title": {"en": "Guardian", "de": "Guardian"},
    "page.title_alarm": {"en": "ALARM: {names}", "de": "ALARM: {names}"},
    "page.skip": {"en": "Skip to the content", "de": "Zum Inhalt springen"},
    "page.overview": {"en": "Everyone", "de": "Alle"},
    "page.history": {"en": "History", "de": "Verlauf"},
    "page.account": {"en": "Account", "de": "Konto"},
    "page.navigation": {"en": "Main navigation", "de": "Hauptnavigation"},
    "page.language": {"en": "Language", "de": "Sprache"},
    "page.back": {"en": "Back to everyone", "de": "Zurück zu allen"},
    "page.not_found": {"en": "There is no such page.", "de": "Diese Seite gibt es nicht."},
    "page.no_access": {
        "en": "There is no such person here, or you may not see them.",
        "de": "Diese Person gibt es hier nicht, oder Sie dürfen sie nicht sehen.",
    },
    "page.noscript": {
        "en": "This page needs JavaScript: without it, it cannot warn you.",
        "de": "Diese Seite braucht JavaScript: Ohne kann sie Sie nicht warnen.",
    },
    "page.trouble": {
        "en": "This page could not be made; the station's log says why.",
        "de": "Diese Seite ließ sich nicht aufbauen; warum, steht im Protokoll der Station.",
    },
    "page.not_medical": {
        "en": "Not a medical device. It does not replace a person beside the walker.",
        "de": "Kein Medizinprodukt. Es ersetzt keinen Menschen an der Seite.",
    },
    # --- the page is blind: loud, full width
    "blind.title": {"en": "BLIND", "de": "BLIND"},
    "blind.page": {
        "en": "THIS PAGE IS BLIND. It has lost the station {ago}; what you see below is old. It keeps trying.",
        "de": "DIESE SEITE IST BLIND. Sie hat die Station verloren ({ago}); was unten steht, ist alt. Sie versucht es weiter.",
    },
    "blind.broker": {
        "en": "THE STATION IS BLIND. It has lost the MQTT broker: no alarm can arrive. Look at the people yourself.",
        "de": "DIE STATION IST BLIND. Sie hat den MQTT-Broker verloren: Kein Alarm kann ankommen. Sehen Sie selbst nach den Menschen.",
    },
    "blind.database": {
        "en": "THE STATION IS BLIND. It cannot read its database: what you see below is old. Look at the people yourself.",
        "de": "DIE STATION IST BLIND. Sie kann ihre Datenbank nicht lesen: Was unten steht, ist alt. Sehen Sie selbst nach den Menschen.",
    },
    # --- sound
    "sound.enable": {"en": "Tap for the alarm sound", "de": "Tippen für den Alarmton"},
    "sound.on": {"en": "Alarm sound is on", "de": "Alarmton ist an"},
    "sound.only_open": {
        "en": "This page sounds only while it is open. For your pocket, set up push messages.",
        "de": "Diese Seite tönt nur, solange sie offen ist. Für unterwegs Push-Nachrichten einrichten.",
    },
    # --- login
    "login.name": {"en": "Name", "de": "Name"},
    "login.password": {"en": "Password", "de": "Passwort"},
    "login.submit": {"en": "Sign in", "de": "Anmelden"},
    "login.over": {
        "en": "The sign-in has ended: nobody is watching from this screen.",
        "de": "Die Anmeldung ist abgelaufen: Von diesem Bildschirm aus passt niemand auf.",
    },
    "login.refused": {"en": "Name or password is wrong.", "de": "Name oder Passwort ist falsch."},
    "login.wait": {
        "en": "Too many attempts. Wait {wait}, then try again.",
        "de": "Zu viele Versuche. Warten Sie {wait}, dann noch einmal.",
    },
    "login.lead": {"en": "Somebody is walking. Somebody is watching.", "de": "Jemand geht. Jemand gibt acht."},
    # --- one's own account
    "account.title": {"en": "Account of {name}", "de": "Konto von {name}"},
    "account.admin": {"en": "You see everyone.", "de": "Sie sehen alle."},
    "account.carer": {"en": "You see: {names}.", "de": "Sie sehen: {names}."},
    "account.password": {"en": "Change the password", "de": "Passwort ändern"},
    "account.old": {"en": "Password until now", "de": "Bisheriges Passwort"},
    "account.new": {"en": "New password", "de": "Neues Passwort"},
    "account.done": {
        "en": "The new password is set. Everywhere else you are signed out.",
        "de": "Das neue Passwort gilt. Überall sonst sind Sie abgemeldet.",
    },
    "account.wrong": {"en": "The password until now is wrong.", "de": "Das bisherige Passwort ist falsch."},
    "account.short": {
        "en": "The new password is too short: at least 10 characters.",
        "de": "Das neue Passwort ist zu kurz: mindestens 10 Zeichen.",
    },
    "account.long": {"en": "The new password is too long.", "de": "Das neue Passwort ist zu lang."},
    "account.name": {"en": "The new password must not contain your name.", "de": "Das neue Passwort darf Ihren Namen nicht enthalten."},
    "account.simple": {
        "en": "The new password repeats too few characters.",
        "de": "Das neue Passwort besteht aus zu wenigen verschiedenen Zeichen.",
    },
    "account.logout": {"en": "Sign out", "de": "Abmelden"},
    "account.everywhere": {"en": "Sign out on all devices", "de": "Auf allen Geräten abmelden"},
    # --- the summary line
    "summary.help.one": {"en": "{name} needs help.", "de": "{name} braucht Hilfe."},
    "summary.help.many": {"en": "{count} people need help.", "de": "{count} Menschen brauchen Hilfe."},
    "summary.look.one": {"en": "{name}: please look.", "de": "{name}: bitte hinsehen."},
    "summary.look.many": {"en": "{count} people: please look.", "de": "{count} Menschen: bitte hinsehen."},
    "summary.well": {"en": "Nobody is calling for help.", "de": "Niemand ruft um Hilfe."},
    "summary.unseen": {"en": "Nobody is in contact with the station.", "de": "Niemand hat Kontakt zur Station."},
    "summary.nobody": {"en": "There is nobody to look after yet.", "de": "Es ist noch niemand da, auf den zu achten wäre."},
    "summary.nobody_how": {
        "en": "Add a device with: guardian station enroll NAME",
        "de": "Ein Gerät hinzufügen mit: guardian station enroll NAME",
    },
    "summary.guarded": {"en": "{count} guarded", "de": "{count} behütet"},
    "summary.walking": {"en": "{count} walking", "de": "{count} unterwegs"},
    "summary.out": {"en": "{count} out of contact", "de": "{count} ohne Kontakt"},
    "summary.people": {"en": "{count} people", "de": "{count} Menschen"},
    "summary.person": {"en": "1 person", "de": "1 Mensch"},
    # --- overview: search and filter
    "find.search": {"en": "Search by name", "de": "Nach Namen suchen"},
    "find.filter": {"en": "Show", "de": "Zeigen"},
    "find.all": {"en": "Everyone", "de": "Alle"},
    "find.attention": {"en": "Needs a look", "de": "Hinsehen"},
    "find.session": {"en": "In a session", "de": "Beim Üben"},
    "find.out": {"en": "Out of contact", "de": "Ohne Kontakt"},
    "find.none": {"en": "Nobody matches.", "de": "Niemand passt dazu."},
    "find.more": {"en": "Show {count} more", "de": "{count} weitere zeigen"},
    "find.people": {"en": "People, most urgent first", "de": "Menschen, die dringendsten zuerst"},
    # --- how somebody is, in one line
    "status.fall": {"en": "Has fallen", "de": "Ist gestürzt"},
    "status.long_lie": {"en": "Has fallen, still on the floor", "de": "Ist gestürzt, liegt noch am Boden"},
    "status.sos": {"en": "Is calling for help (SOS)", "de": "Ruft um Hilfe (SOS)"},
    "status.fallen": {"en": "Needs help", "de": "Braucht Hilfe"},
    "status.acknowledged": {"en": "Help is coming", "de": "Hilfe kommt"},
    "status.down": {"en": "May have fallen; can still cancel", "de": "Vielleicht gestürzt; kann noch abbrechen"},
    "status.imminent": {"en": "Is losing balance", "de": "Verliert das Gleichgewicht"},
    "status.lost": {"en": "No contact", "de": "Kein Kontakt"},
    "status.lost_alarm": {"en": "No contact since an alarm", "de": "Kein Kontakt seit einem Alarm"},
    "status.stale": {"en": "Contact is failing", "de": "Kontakt reißt ab"},
    "status.switched_off": {"en": "Switched off", "de": "Ausgeschaltet"},
    "status.switched_off_alarm": {"en": "Switched off during an alarm", "de": "Während eines Alarms ausgeschaltet"},
    "status.never": {"en": "Never seen", "de": "Noch nie gemeldet"},
    "status.off": {"en": "Resting: not guarded", "de": "Pause: nicht behütet"},
    "status.settling": {"en": "Not guarded yet: stand still a moment", "de": "Noch nicht behütet: kurz stillstehen"},
    "status.not_guarding": {"en": "Not guarded", "de": "Nicht behütet"},
    "status.guarding": {"en": "Guarded", "de": "Behütet"},
    "status.walking": {"en": "Walking, guarded", "de": "Geht, behütet"},
    "status.unknown": {"en": "Unknown", "de": "Unbekannt"},
    "status.but": {"en": "{status}. {but}", "de": "{status}. {but}"},
    # --- what is beside it
    "note.no_session_today": {"en": "No session today", "de": "Heute nicht geübt"},
    "note.faults": {"en": "Device has a fault", "de": "Gerät hat einen Fehler"},
    "note.down_posture": {"en": "Not upright", "de": "Nicht aufrecht"},
    "note.posture_unknown": {"en": "Posture unknown", "de": "Haltung unbekannt"},
    "contact.live": {"en": "In contact", "de": "In Kontakt"},
    "contact.silent": {"en": "Last word {ago}", "de": "Zuletzt gehört {ago}"},
    "contact.unknown": {"en": "Unknown when last heard", "de": "Unbekannt, wann zuletzt gehört"},
    "contact.never": {"en": "Not a word so far", "de": "Bisher kein Wort"},
    "battery.level": {"en": "Battery {percent} %", "de": "Akku {percent} %"},
    "battery.low": {"en": "Battery low: {percent} %", "de": "Akku schwach: {percent} %"},
    "battery.low_unmeasured": {"en": "Battery low", "de": "Akku schwach"},
    "battery.unknown": {"en": "Battery unknown", "de": "Akku unbekannt"},
    "obstacle.CLEAR": {"en": "Nothing close behind", "de": "Nichts dicht dahinter"},
    "obstacle.CAUTION": {"en": "Something is behind", "de": "Etwas ist dahinter"},
    "obstacle.STOP": {"en": "Obstacle right behind", "de": "Hindernis direkt dahinter"},
    "obstacle.UNKNOWN": {"en": "Unknown what is behind", "de": "Unbekannt, was dahinter ist"},
    # --- an open alarm
    "alarm.region": {"en": "Open alarms", "de": "Offene Alarme"},
    "alarm.acknowledge": {"en": "Acknowledge", "de": "Ich kümmere mich"},
    "alarm.acknowledge_for": {"en": "Acknowledge the alarm of {name}", "de": "Ich kümmere mich um {name}"},
    "alarm.acknowledge_why": {"en": "{name} hears: help is coming", "de": "{name} hört: Hilfe kommt"},
    "alarm.open": {"en": "Open {name}", "de": "{name} öffnen"},
    "alarm.acknowledged_by": {"en": "{who} is on it", "de": "{who} kümmert sich"},
    "alarm.somebody": {"en": "Somebody", "de": "Jemand"},
    "alarm.seen": {"en": "I am looking", "de": "Ich sehe nach"},
    "alarm.seen_for": {"en": "I am looking after {name}: silence this page", "de": "Ich sehe nach {name}: diese Seite stumm"},
    "alarm.seen_why": {
        "en": "silences this page; nothing can be sent to the device",
        "de": "macht diese Seite stumm; zum Gerät geht nichts",
    },
    "alarm.ack_sent": {"en": "Sent. Waiting for the device to confirm …", "de": "Gesendet. Das Gerät muss noch bestätigen …"},
    "alarm.ack_heard": {"en": "{name} has heard that help is coming.", "de": "{name} hat gehört, dass Hilfe kommt."},
    "alarm.ack_unheard": {
        "en": "The device has not confirmed: {name} may not have heard it. Go and look.",
        "de": "Das Gerät hat nicht bestätigt: {name} hat es vielleicht nicht gehört. Gehen Sie hin.",
    },
    "alarm.ack_again": {"en": "Send it again", "de": "Noch einmal senden"},
    "alarm.blind": {
        "en": "No contact with the device: the alarm may still be sounding there.",
        "de": "Kein Kontakt zum Gerät: Dort tönt der Alarm vielleicht weiter.",
    },
    # --- commands
    "command.title": {"en": "Device", "de": "Gerät"},
    "command.clear": {"en": "Clear the alarm", "de": "Alarm beenden"},
    "command.clear_ask": {"en": "Clear the alarm of {name}?", "de": "Alarm von {name} beenden?"},
    "command.clear_why": {
        "en": "Only when you have seen or spoken to {name}. The device falls silent and guards again.",
        "de": "Nur, wenn Sie {name} gesehen oder gesprochen haben. Das Gerät verstummt und behütet wieder.",
    },
    "command.clear_yes": {"en": "Yes, clear it", "de": "Ja, beenden"},
    "command.cancel": {"en": "No, go back", "de": "Nein, zurück"},
    "command.locate": {"en": "Let it beep", "de": "Piepen lassen"},
    "command.locate_why": {"en": "The device beeps, so that you can find it.", "de": "Das Gerät piept, damit Sie es finden."},
    "command.test": {"en": "Test message", "de": "Testnachricht"},
    "command.test_why": {
        "en": "The device sends a test message; it appears under the messages below.",
        "de": "Das Gerät schickt eine Testnachricht; sie erscheint unten bei den Meldungen.",
    },
    "command.exercise": {"en": "Exercise", "de": "Übung"},
    "command.sent": {"en": "Sent to the device.", "de": "An das Gerät gesendet."},
    "command.failed": {
        "en": "It has not reached the device. Try again, or go and look.",
        "de": "Es hat das Gerät nicht erreicht. Noch einmal versuchen, oder hingehen.",
    },
    "command.refused": {"en": "You may not do this.", "de": "Das dürfen Sie nicht."},
    "command.not_kept": {
        "en": "Not kept: the station cannot write its database. Others may still be called.",
        "de": "Nicht gespeichert: Die Station kann nicht in ihre Datenbank schreiben. Andere werden vielleicht noch gerufen.",
    },
    # --- after the alarm
    "feedback.ask": {"en": "The alarm is over. What was it?", "de": "Der Alarm ist vorbei. Was war es?"},
    "feedback.why": {"en": "One tap. It makes the alarms better.", "de": "Ein Tipp. Das macht die Alarme besser."},
    "feedback.false_alarm": {"en": "False alarm", "de": "Fehlalarm"},
    "feedback.helped": {"en": "Helped", "de": "Geholfen"},
    "feedback.injured": {"en": "Injured", "de": "Verletzt"},
    "feedback.thanks": {"en": "Kept with the alarm. Thank you.", "de": "Beim Alarm gespeichert. Danke."},
    "feedback.was": {"en": "It was: {what} ({who})", "de": "Es war: {what} ({who})"},
    # --- one wearer
    "wearer.now": {"en": "Now", "de": "Jetzt"},
    "wearer.old": {"en": "As it was {ago}", "de": "So war es {ago}"},
    "wearer.distance": {"en": "Space behind, last 5 minutes", "de": "Platz dahinter, letzte 5 Minuten"},
    "wearer.distance_none": {"en": "Nothing was measured in the last 5 minutes.", "de": "In den letzten 5 Minuten wurde nichts gemessen."},
    "wearer.distance_sum": {
        "en": "Space behind over the last 5 minutes: nearest {nearest}, now {now}.",
        "de": "Platz dahinter in den letzten 5 Minuten: am nächsten {nearest}, jetzt {now}.",
    },
    "wearer.progress": {"en": "This session", "de": "Diese Übung"},
    "wearer.progress_none": {"en": "No session is running.", "de": "Gerade läuft keine Übung."},
    "wearer.steps": {"en": "Steps", "de": "Schritte"},
    "wearer.cadence": {"en": "Steps a minute", "de": "Schritte pro Minute"},
    "wearer.duration": {"en": "Duration", "de": "Dauer"},
    "wearer.dose": {"en": "Good to begin with: {dose}", "de": "Gut für den Anfang: {dose}"},
    "wearer.alerts": {"en": "Messages, newest first", "de": "Meldungen, neueste zuerst"},
    "wearer.alerts_none": {"en": "No messages yet.", "de": "Noch keine Meldungen."},
    "wearer.faults": {"en": "The device says", "de": "Das Gerät meldet"},
    "wearer.who_sees": {"en": "Who can see this: {names}.", "de": "Das können sehen: {names}."},
    "wearer.kept": {
        "en": "It is health data; messages and traces are erased after {days} days.",
        "de": "Es sind Gesundheitsdaten; Meldungen und Verläufe werden nach {days} Tagen gelöscht.",
    },
    "wearer.all_history": {"en": "All of the history", "de": "Ganzer Verlauf"},
    "wearer.device": {"en": "Device {id}, software {sw}", "de": "Gerät {id}, Software {sw}"},
    # --- history
    "history.title": {"en": "History", "de": "Verlauf"},
    "history.search": {"en": "Search the messages", "de": "Meldungen durchsuchen"},
    "history.who": {"en": "Who", "de": "Wer"},
    "history.type": {"en": "What", "de": "Was"},
    "history.severity": {"en": "How serious", "de": "Wie ernst"},
    "history.period": {"en": "When", "de": "Wann"},
    "history.any": {"en": "All", "de": "Alle"},
    "history.day": {"en": "Last 24 hours", "de": "Letzte 24 Stunden"},
    "history.week": {"en": "Last 7 days", "de": "Letzte 7 Tage"},
    "history.month": {"en": "Last 30 days", "de": "Letzte 30 Tage"},
    "history.events": {"en": "Messages", "de": "Meldungen"},
    "history.sessions": {"en": "Sessions", "de": "Übungen"},
    "history.none": {"en": "Nothing was found.", "de": "Nichts gefunden."},
    "history.details": {"en": "Details", "de": "Einzelheiten"},
    "history.first": {"en": "The newest {count} are shown.", "de": "Die neuesten {count} werden gezeigt."},
    "history.no_sessions": {"en": "No sessions in this time.", "de": "Keine Übungen in dieser Zeit."},
    "session.title": {"en": "Session of {name}, {when}", "de": "Übung von {name}, {when}"},
    "session.running": {"en": "still running", "de": "läuft noch"},
    "session.line": {"en": "{exercise}, {duration}, {steps} steps", "de": "{exercise}, {duration}, {steps} Schritte"},
    "session.open": {"en": "Show the session of {when}", "de": "Übung vom {when} zeigen"},
    "session.no_trace": {
        "en": "The trace of this session is no longer kept, or none arrived.",
        "de": "Der Verlauf dieser Übung ist nicht mehr gespeichert, oder es kam keiner an.",
    },
    "session.sum": {
        "en": "{steps} steps in {duration}; nearest thing behind: {nearest}; {alerts} messages.",
        "de": "{steps} Schritte in {duration}; Nächstes dahinter: {nearest}; {alerts} Meldungen.",
    },
    "plot.distance": {"en": "Space behind (m)", "de": "Platz dahinter (m)"},
    "plot.cadence": {"en": "Steps a minute", "de": "Schritte pro Minute"},
    "plot.steps": {"en": "Steps", "de": "Schritte"},
    "plot.unknown": {"en": "unknown", "de": "unbekannt"},
    "plot.near": {"en": "within arm's reach", "de": "in Griffweite"},
    "unit.metres": {"en": "{value} m", "de": "{value} m"},
    "unit.none": {"en": "unknown", "de": "unbekannt"},
    # --- severities
    "severity.critical": {"en": "Urgent", "de": "Dringend"},
    "severity.warning": {"en": "Warning", "de": "Warnung"},
    "severity.info": {"en": "Note", "de": "Hinweis"},
    # --- what happened (contract.EVENTS, each)
    "event.fall": {"en": "Has fallen, and did not cancel", "de": "Ist gestürzt und hat nicht abgebrochen"},
    "event.long_lie": {"en": "Is still lying on the floor", "de": "Liegt noch immer am Boden"},
    "event.sos": {"en": "Is calling for help (SOS)", "de": "Ruft um Hilfe (SOS)"},
    "event.fall_suspected": {"en": "May have fallen", "de": "Ist vielleicht gestürzt"},
    "event.imminent_fall": {"en": "Lost balance", "de": "Hat das Gleichgewicht verloren"},
    "event.obstacle": {
        "en": "Came close to something behind, or to the belt's end",
        "de": "Kam etwas dahinter oder dem Bandende sehr nahe",
    },
    "event.not_guarding": {"en": "Was not guarded", "de": "War nicht behütet"},
    "event.not_worn": {"en": "Has put the device down", "de": "Hat das Gerät abgelegt"},
    "event.fault": {"en": "A part of the device does not work", "de": "Ein Teil des Geräts geht nicht"},
    "event.battery_low": {"en": "The device's battery is low", "de": "Der Akku des Geräts ist schwach"},
    "event.near_fall": {"en": "Nearly fell, and recovered", "de": "Wäre fast gestürzt und fing sich"},
    "event.session_started": {"en": "Began a session", "de": "Hat eine Übung begonnen"},
    "event.session_ended": {"en": "Ended the session", "de": "Hat die Übung beendet"},
    "event.guarding": {"en": "Is guarded again", "de": "Ist wieder behütet"},
    "event.cancelled": {"en": "Is all right: cancelled it", "de": "Ist wohlauf: hat abgebrochen"},
    "event.cleared": {"en": "The alarm was cleared", "de": "Der Alarm wurde beendet"},
    "event.acknowledged": {"en": "Heard that help is coming", "de": "Hat gehört, dass Hilfe kommt"},
    "event.fault_cleared": {"en": "A fault is gone", "de": "Ein Fehler ist weg"},
    "event.exercise_changed": {"en": "Changed the exercise", "de": "Hat die Übung gewechselt"},
    "event.coach": {"en": "Was given a cue", "de": "Bekam einen Hinweis"},
    "event.test": {"en": "Test message: the way to you works", "de": "Testnachricht: Der Weg zu Ihnen geht"},
    # --- what the coach says ([coach.cues] of guardian.toml, each, and the plan)
    "cue.work": {"en": "warm-up is over", "de": "aufgewärmt"},
    "cue.half": {"en": "half is done", "de": "die Hälfte ist geschafft"},
    "cue.rest": {"en": "set done, rest", "de": "Satz geschafft, Pause"},
    "cue.again": {"en": "the next set", "de": "der nächste Satz"},
    "cue.done": {"en": "done for today", "de": "für heute geschafft"},
    "cue.posture": {"en": "back straight", "de": "Rücken gerade"},
    "cue.slower": {"en": "slower", "de": "langsamer"},
    "cue.faster": {"en": "a little faster", "de": "etwas schneller"},
    "cue.uneven": {"en": "even steps", "de": "gleichmäßige Schritte"},
    "cue.deeper": {"en": "deeper, if it feels good", "de": "tiefer, wenn es guttut"},
    "cue.enough": {"en": "several near-falls, better end it", "de": "mehrmals fast gestürzt, besser aufhören"},
    "cue.plan": {"en": "the dose of this session: {dose}", "de": "Umfang dieser Übung: {dose}"},
    # --- the units of a dose ([exercises] of guardian.toml, each)
    "amount.s": {"en": "{value} s", "de": "{value} s"},
    "amount.m": {"en": "{value} m", "de": "{value} m"},
    "amount.stairs": {"en": "{value} stairs", "de": "{value} Stufen"},
    "amount.reps": {"en": "{value} each leg", "de": "{value} je Bein"},
    # --- what a caregiver can do about a fault (contract.FAULTS, each)
    "fault.imu_silent": {"en": "no motion data: look at the sensor's cable", "de": "keine Bewegungsdaten: Kabel des Sensors prüfen"},
    "fault.imu_stuck": {"en": "the motion sensor is frozen: switch off and on", "de": "Bewegungssensor steht: aus- und einschalten"},
    "fault.imu_scale": {"en": "the motion sensor reads wrong: have it set up", "de": "Bewegungssensor misst falsch: einrichten lassen"},
    "fault.imu_saturated": {"en": "the sensor is shaken: is the belt tight?", "de": "Sensor wird geschüttelt: Sitzt der Gurt fest?"},
    "fault.bus_hung": {"en": "the sensors do not answer: switch off and on", "de": "Sensoren antworten nicht: aus- und einschalten"},
    "fault.echo_silent": {"en": "nobody watches behind: the ranger is silent", "de": "Nach hinten blind: Abstandssensor schweigt"},
    "fault.echo_stuck_high": {"en": "nobody watches behind: the ranger hangs", "de": "Nach hinten blind: Abstandssensor hängt"},
    "fault.echo_stuck_low": {"en": "nobody watches behind: look at the cable", "de": "Nach hinten blind: Kabel prüfen"},
    "fault.button_stuck": {"en": "the button is held down: free it", "de": "Der Knopf klemmt: lösen"},
    "fault.loop_late": {"en": "the device's computer cannot keep up", "de": "Der Rechner des Geräts kommt nicht nach"},
    "fault.output_failed": {"en": "a part of the device failed", "de": "Ein Teil des Geräts ist ausgefallen"},
    "fault.disk_full": {"en": "the device's memory is full", "de": "Der Speicher des Geräts ist voll"},
    "fault.link_down": {"en": "had no connection to us", "de": "Hatte keine Verbindung zu uns"},
    "fault.nobody_listening": {"en": "found nobody listening", "de": "Fand niemanden, der zuhört"},
    "fault.event_refused": {"en": "the broker refuses its messages", "de": "Der Broker weist seine Meldungen ab"},
    "fault.clock_unsynced": {"en": "the device does not know the time", "de": "Das Gerät kennt die Uhrzeit nicht"},
    "fault.supply_low": {"en": "the battery is low: charge it", "de": "Der Akku ist schwach: laden"},
    # --- exercises ([exercises] of guardian.toml, each), and a dose to begin with
    "exercise.walk": {"en": "Backward walking", "de": "Rückwärtsgehen"},
    "exercise.run": {"en": "Backward running", "de": "Rückwärtslaufen"},
    "exercise.stairs": {"en": "Stairs backward", "de": "Treppe rückwärts"},
    "exercise.treadmill": {"en": "Treadmill", "de": "Laufband"},
    "exercise.lunges": {"en": "Backward lunges", "de": "Ausfallschritte rückwärts"},
    "exercise.everyday": {"en": "Everyday wear", "de": "Alltag"},
    "dose.walk": {"en": "5-10 minutes", "de": "5-10 Minuten"},
    "dose.run": {"en": "sprints of 20-50 m", "de": "Sprints von 20-50 m"},
    "dose.stairs": {"en": "2-3 sets of 5-10 steps", "de": "2-3 Mal 5-10 Stufen"},
    "dose.treadmill": {"en": "slow, as long as it feels good", "de": "langsam, solange es guttut"},
    "dose.lunges": {"en": "10-15 a leg", "de": "10-15 je Bein"},
    # --- pushes: read on a phone, perhaps at night, perhaps far away
    "push.alarm": {"en": "ALARM {name}: {what}", "de": "ALARM {name}: {what}"},
    "push.again": {"en": "ALARM ({count}) {name}: {what}", "de": "ALARM ({count}) {name}: {what}"},
    "push.plain": {"en": "{name}: {what}", "de": "{name}: {what}"},
    "push.when": {"en": "When: {at} ({ago})", "de": "Wann: {at} ({ago})"},
    "push.when_unknown": {
        "en": "When: time unknown, the device's clock is not set. Heard {at} ({ago}).",
        "de": "Wann: Zeit unbekannt, die Uhr des Geräts ist nicht gestellt. Gehört {at} ({ago}).",
    },
    "push.during": {"en": "During: {exercise}", "de": "Bei: {exercise}"},
    "push.fault": {"en": "The device says: {fault}", "de": "Das Gerät meldet: {fault}"},
    "push.do": {
        "en": "Look after {name}, or call somebody who can. Then acknowledge: {name} hears that help is coming, and these messages end.",
        "de": "Bitte nach {name} sehen oder jemanden rufen, der es kann. Dann bestätigen: {name} hört, dass Hilfe kommt, und diese "
        "Nachrichten enden.",
    },
    "push.nobody_yet": {"en": "Nobody has acknowledged yet.", "de": "Noch hat niemand bestätigt."},
    "push.answered.acknowledged": {"en": "Already acknowledged: somebody is on it.", "de": "Schon bestätigt: Jemand kümmert sich."},
    "push.answered.closed": {"en": "This alarm is over already.", "de": "Dieser Alarm ist schon vorbei."},
    "push.over.acknowledged": {"en": "Help is coming", "de": "Hilfe kommt"},
    "push.over.acknowledged_why": {
        "en": "Somebody has acknowledged the alarm of {name}. You will not be called again for it.",
        "de": "Jemand hat den Alarm von {name} bestätigt. Sie werden dafür nicht noch einmal gerufen.",
    },
    "push.over.closed": {"en": "The alarm is over", "de": "Der Alarm ist vorbei"},
    "push.over.closed_why": {"en": "The alarm of {name} was ended.", "de": "Der Alarm von {name} wurde beendet."},
    "push.last_word": {"en": "Last word: {at} ({ago}). Then: {status}.", "de": "Zuletzt gehört: {at} ({ago}). Da: {status}."},
    "push.last_word_unknown": {
        "en": "When its last word came is not known. Then: {status}.",
        "de": "Wann zuletzt gehört, ist unbekannt. Da: {status}.",
    },
    "push.lost_do": {
        "en": "The device may be out of reach or without power. While there is no contact, no alarm can arrive.",
        "de": "Das Gerät ist vielleicht außer Reichweite oder ohne Strom. Ohne Kontakt kann kein Alarm ankommen.",
    },
    "push.back": {"en": "In contact again", "de": "Wieder in Kontakt"},
    "push.back_off": {"en": "Is back, and was switched off properly", "de": "War wieder da und wurde ordentlich ausgeschaltet"},
    "push.back_why": {
        "en": "No contact for {duration}, since {at}. Now: {status}.",
        "de": "Ohne Kontakt {duration} lang, seit {at}. Jetzt: {status}.",
    },
    "push.not_worn": {"en": "The device lies still", "de": "Das Gerät liegt still"},
    "push.not_worn_why": {
        "en": "It has not moved for minutes, and it lies: put down, or {name} lies motionless. Please look.",
        "de": "Es bewegt sich seit Minuten nicht und liegt: abgelegt, oder {name} liegt reglos. Bitte hinsehen.",
    },
    "push.blind": {"en": "The station is blind", "de": "Die Station ist blind"},
    "push.seeing": {"en": "The station hears again", "de": "Die Station hört wieder"},
    "push.seeing_why": {"en": "It was blind for {duration}, since {at}.", "de": "Sie war {duration} lang blind, seit {at}."},
    "push.test": {"en": "Test message for {name}", "de": "Testnachricht für {name}"},
    "push.test_why": {
        "en": "This is how an alarm of {name} reaches you. Nothing has happened.",
        "de": "So erreicht Sie ein Alarm von {name}. Es ist nichts geschehen.",
    },
    "push.page": {"en": "Page: {address}", "de": "Seite: {address}"},
    "push.id": {"en": "Alarm {id}", "de": "Alarm {id}"},
    "push.id_of": {"en": "Alarm {id}, message {event}", "de": "Alarm {id}, Meldung {event}"},
    # --- how long ago, how long
    "time.now": {"en": "just now", "de": "gerade eben"},
    "time.ago": {"en": "{duration} ago", "de": "vor {duration}"},
    "time.seconds": {"en": "{count} s", "de": "{count} s"},
    "time.minutes": {"en": "{count} min", "de": "{count} min"},
    "time.hours": {"en": "{hours} h {minutes} min", "de": "{hours} h {minutes} min"},
    "time.day": {"en": "1 day", "de": "1 Tag"},
    "time.days": {"en": "{count} days", "de": "{count} Tagen"},
    "time.unknown": {"en": "unknown when", "de": "unbekannt, wann"},
    "time.at": {"en": "%d %b, %H:%M", "de": "%d.%m., %H:%M"},  # strftime; numbers alone where a month's name would need a language
}


def say(key: str, language: Language, **values: object) -> str:
    """The text of a key with its values put in. Raises KeyError for a key, or a value, that there is not."""
    return WORDS[key][language].format(**values)


def known(key: str) -> bool:
    """Is there a text for it? What the broker names may be newer than this table."""
    return key in WORDS


def event(event_type: str, language: Language) -> str:
    """An event type in words; one that is newer than this table as it is written."""
    return _or_plain("event", event_type, language)


def fault(name: str, language: Language) -> str:
    """A fault in words; one that is newer than this table as it is written."""
    return _or_plain("fault", name, language)


def cue(evidence: Mapping[str, object], language: Language) -> str | None:
    """What the coach said, by its event's evidence; a cue that is newer than this table as it is written; None: no cue is named."""
    name, dose, unit = evidence.get("cue"), evidence.get("dose"), evidence.get("unit")
    if not isinstance(name, str):
        return None
    amount = f"{dose:g}" if isinstance(dose, int | float) else "?"
    if known(f"amount.{unit}"):
        amount = say(f"amount.{unit}", language, value=amount)
    return say(f"cue.{name}", language, dose=amount) if known(f"cue.{name}") else name.replace("_", " ")


def exercise(name: str, language: Language) -> str:
    """An exercise in words; one of the device's own as it is written."""
    return _or_plain("exercise", name, language)


def duration(seconds: float, language: Language) -> str:
    """A span of time, as coarse as a person would say it: 42 s, 7 min, 3 h 5 min, 2 days."""
    whole = max(0, int(seconds))
    if whole < 60:
        return say("time.seconds", language, count=whole)
    if whole < 3600:
        return say("time.minutes", language, count=whole // 60)
    if whole < 86400:
        return say("time.hours", language, hours=whole // 3600, minutes=whole % 3600 // 60)
    days = whole // 86400
    return say("time.day", language) if days == 1 else say("time.days", language, count=days)


def ago(seconds: float, language: Language) -> str:
    """How long ago: just now, 42 s ago, 7 min ago."""
    if seconds < 2:
        return say("time.now", language)
    return say("time.ago", language, duration=duration(seconds, language))


def at(when: datetime, language: Language) -> str:
    """A moment by the clock of this machine."""
    return when.astimezone().strftime(WORDS["time.at"][language])


def language_of(chosen: str | None, accept_language: str = "") -> Language:
    """What a user has chosen, else the first language of the browser's header that there is, else English."""
    if chosen in LANGUAGES:
        return chosen
    asked = sorted(
        ((_weight(parameters), -place, tag.strip()[:2].lower()) for place, item in enumerate(accept_language.split(",")[:20])
         for tag, _, parameters in [item.partition(";")]),
        reverse=True,
    )  # fmt: skip
    return next((tag for weight, _, tag in asked if tag in LANGUAGES and weight > 0), "en")


def _weight(parameters: str) -> float:
    try:
        return float(parameters.strip().removeprefix("q=")) if parameters else 1.0
    except ValueError:
        return 0.0


def _or_plain(kind: str, name: str, language: Language) -> str:
    key = f"{kind}.{name}"
    return say(key, language) if known(key) else name.replace("_", " ")
