"""The caregiver's program: hears all wearers, keeps their history, shows it, and calls until somebody answers."""
