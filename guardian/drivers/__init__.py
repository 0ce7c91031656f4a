"""IN: the real drivers; sensors.py asks each once a tick and makes the Frame."""
