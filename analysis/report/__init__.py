"""The report: one HTML file that works offline."""

from analysis.report.report_file import write_report

__all__ = ["write_report"]
