"""The report of a curated study: one HTML file that a person judges by.

`StudyReport` holds what was computed, `write_report` writes it.
"""

from curation.report.content import AdcReport, SeriesReport, StudyReport, WrittenSeries
from curation.report.page import write_report
from curation.report.words import verdict

__all__ = ["AdcReport", "SeriesReport", "StudyReport", "WrittenSeries", "verdict", "write_report"]
