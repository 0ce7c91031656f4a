"""The caregiver's program: hears all wearers, keeps their history, shows it, and calls until somebody answers.

run.py wires it. Every station may be killed at any time: what it knows is in the database.
"""
