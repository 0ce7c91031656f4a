"""A real Home Assistant on the loopback: does it show what the device says, and does the device do what it asks?"""
