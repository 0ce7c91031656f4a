"""The progress report: the device's session database as a page, a picture and tables that a physiotherapist reads.

history.py reads and chooses, findings.py names what is bad or missing, words.py and columns.py say it, timeline.py and trend.py draw it
(picture.py: how), page.py lays it out, export.py writes CSV. Nothing here knows where the database lies or what day it is:
commands/report.py says.
"""
