# guardian. Two commands to begin with: make demo, make test. They need python3 (3.11 or newer), python3-venv and make, nothing else.

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LAB := $(VENV)/.lab

.PHONY: help demo test test-vm test-homeassistant lint check card evaluate train crossvalidate faults campaign walks rooms walkers strangers steps repetitions durability fuzz mutate soak soak-real bench alerts fleet latency page screenshots report pythons arm64 install upgrade uninstall install-station upgrade-station uninstall-station clean

help:  ## what can be made
	@grep -E '^[a-z -]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20

demo: $(READY)  ## a 40-second story: backward walk, wall avoided, fall, the caregiver told through a real broker
	@$(BIN)/guardian demo

test: $(READY)  ## the tests; what is skipped is listed with its reason
	$(BIN)/pytest -q -n $(JOBS)

test-homeassistant: $(READY)  ## the device beside a real Home Assistant 2024.3.3 (needs python3.11 and mosquitto; installs it once, into lab/out)
	$(BIN)/python -m lab.homeassistant

test-vm: $(READY)  ## the installed service on a real kernel under QEMU: boots, falls, kills, a power cut (Debian 12, as root; some 10 minutes)
	sh tests/vm/build.sh
	$(BIN)/pytest -q -m vm tests/vm

lint: $(READY)  ## ruff and mypy, both strict
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

card: $(READY)  ## write the card of sounds and gestures into hardware.md, from the tables
	$(BIN)/guardian sounds --card --into hardware.md

OPTIONS ?= --set fall.rule=ahn2019

evaluate: $(READY)  ## SISFALL=folder: a published fall rule on 26 people's falls and activities, through the whole device; see crossvalidate
	@test -n "$(SISFALL)" || { echo "say where the recordings are: SISFALL=/path/to/sisfall make evaluate (see README.md, How we know)" >&2; exit 2; }
	$(BIN)/python -m lab.evaluate "$(SISFALL)" --jobs $(JOBS) $(if $(SCORER),--scorer "$(SCORER)") $(OPTIONS)

crossvalidate: $(LAB)  ## SISFALL=folder: five fold models, each judged on people it has not seen, through the whole device
	@test -n "$(SISFALL)" || { echo "say where the recordings are: SISFALL=/path/to/sisfall make crossvalidate" >&2; exit 2; }
	$(BIN)/python -m lab.falls.crossvalidate "$(SISFALL)" --jobs $(JOBS)

train: $(LAB)  ## SISFALL=folder: the fall model that ships, from all people, with the figures of the cross-validation
	@test -n "$(SISFALL)" || { echo "say where the recordings are: SISFALL=/path/to/sisfall make train" >&2; exit 2; }
	$(BIN)/python -m lab.falls.train "$(SISFALL)" --jobs $(JOBS)

faults: $(READY)  ## each part fails once: what is heard, seen and lost; the table also goes into README.md
	$(BIN)/python -m lab.faults --into README.md --jobs $(JOBS)

campaign: $(READY)  ## 1,026 walks with every fault and pairs of them at random instants, half with a fall; the table goes into README.md (some 10 minutes)
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m lab.campaign --into README.md --jobs $(JOBS)

walks: $(READY)  ## 200 walks to a wall, an hour of open space, four broken rangers
	$(BIN)/python -m lab.walks

rooms: $(READY)  ## the space behind in each exercise: clean sessions silent, typical obstacles told in time
	$(BIN)/python -m lab.rooms

walkers: $(READY)  ## SISFALL=folder: the simulated walkers judged against 26 people's walking, running and stairs
	@test -n "$(SISFALL)" || { echo "say where the recordings are: SISFALL=/path/to/sisfall make walkers" >&2; exit 2; }
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m lab.walkers "$(SISFALL)"

strangers: $(READY)  ## simulated strangers: 200 falls in each exercise, 20 hours of training without one; what the shipped model says (some 15 minutes)
	$(BIN)/python -m lab.falls.simulated --jobs $(JOBS)

steps: $(LAB)  ## SISFALL=folder: steps, direction and distance judged, against a published detector and simulated people's truth (some 8 minutes)
	@test -n "$(SISFALL)" || { echo "say where the recordings are: SISFALL=/path/to/sisfall make steps" >&2; exit 2; }
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m lab.steps "$(SISFALL)"

repetitions: $(READY)  ## 200 sets of lunges and of stairs, simulated: exact or not; SISFALL=folder: its stairs too (some 5 minutes)
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m lab.repetitions --jobs $(JOBS)

durability: $(READY)  ## 1,000 alerts, 20 kills of the broker, 50 of the device: MQTT 5 and 3.1.1, with receipts and without
	$(BIN)/python -m lab.durability --protocol 5
	$(BIN)/python -m lab.durability --protocol 311
	$(BIN)/python -m lab.durability --protocol 5 --no-receipts
	$(BIN)/python -m lab.durability --protocol 311 --no-receipts

fuzz: $(LAB)  ## hostile input for every parser of bytes from outside, guided by coverage, 10 minutes each (some 75 minutes)
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m lab.fuzz

mutate: $(LAB)  ## 1,000 small changes of the mind and the outbox: how many does no test notice? (up to 3 hours; goes on where it was stopped)
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m lab.mutate --jobs $(JOBS)

alerts: $(READY)  ## from a fall to phone and page, 1,000 each; stations and broker killed, a day offline, two stations (some 15 minutes)
	$(BIN)/python -m lab.alerts
	$(BIN)/python -m lab.alerts two --postgres

fleet: $(READY)  ## what one station bears: 50, 100, 200 and 500 wearers, a minute each (some 10 minutes; needs mosquitto)
	$(BIN)/python -m lab.fleet

soak: $(READY)  ## 24 simulated hours in one process: memory, threads, descriptors, the tick, recordings (some 25 minutes)
	$(BIN)/python -m lab.soak

soak-real: $(READY)  ## the same for 2 real hours at 100 Hz, with a real broker where mosquitto is installed
	$(BIN)/python -m lab.soak --real

bench: $(LAB)  ## side by side: lag against gpiozero's recipe, attitude against imufusion and ahrs, alerts against plain paho, what costs a tick (some 15 minutes)
	$(BIN)/python -m lab.lag --jobs $(JOBS)
	$(BIN)/python -m lab.attitude
	$(BIN)/python -m lab.cost
	$(BIN)/python -m lab.coldstart
	$(BIN)/python -m lab.durability --beside-plain --alerts 300 --broker-kills 6 --device-kills 15

latency: $(READY)  ## microseconds per tick by stage, CPU share, wake-up jitter
	$(BIN)/python -m lab.latency

page: $(READY)  ## how fast an alarm is on the caregivers' page, with 6, 50 and 500 wearers (needs chromium and mosquitto)
	$(BIN)/python -m lab.page

screenshots: $(READY)  ## the pictures of the caregivers' page in docs/, from a simulated training and fall, 3 minutes (needs chromium and mosquitto)
	$(BIN)/python -m lab.screenshots

report: $(READY)  ## guardian report on a simulated person's ten weeks of training: pages, pictures and CSV in lab/out/history
	$(BIN)/python -m lab.history

pythons: $(READY)  ## the same recordings on every Python of 3.11-3.13 at hand: identical verdicts
	sh lab/pythons.sh

arm64: $(READY)  ## the same recordings on an emulated arm64 Python: identical verdicts; instructions a tick (Debian 12, as root; needs qemu-user, debootstrap, gcc)
	sh lab/arm64.sh

install upgrade uninstall:  ## on a Raspberry Pi, as root: the service, its user, its folders
	PYTHON="$(PYTHON)" sh systemd/install.sh $@

install-station upgrade-station uninstall-station:  ## on the caregivers' machine, as root: the station's service (docs/station.md)
	PYTHON="$(PYTHON)" sh systemd/install.sh $@

clean:  ## forget the environment and all caches
	rm -rf $(VENV) lab/out/homeassistant lab/out/vm .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last: an interrupted set-up is begun again.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "guardian needs Python 3.11 or newer; name one: make PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "python3-venv is missing: apt install python3-venv" >&2; exit 2; }
	@echo "setting up $(VENV) (once, about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

$(LAB): $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,lab]'
	@touch $@
