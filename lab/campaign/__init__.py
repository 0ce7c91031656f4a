"""The fault campaign: every single fault, and pairs of them, at random instants of simulated walks, half of them with a fall.

    python -m lab.campaign                          # all walks; exit 1 if an invariant is violated
    python -m lab.campaign --walks 50               # the first 50 of them
    python -m lab.campaign --walk 137               # this one, with all that was done and found
    python -m lab.campaign --kind "bus: "           # those with a kind of failure whose name holds this
    python -m lab.campaign --into README.md         # the table also goes between its marks there

Walk number n is the same whenever and wherever it is walked: person, chip, failures, their instants and the fall are drawn from it. Real
drivers, monitor, outbox, journal, recorder and MQTT output run on simulated hardware; systemd, the SD card and the broker are simulated
too. What must be told and when follows from what was done and from the tables of guardian.toml, never from what the device says.
"""
