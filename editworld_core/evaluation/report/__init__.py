"""The report of an evaluation: a page with pictures, JSON, CSV and LaTeX."""

from editworld_core.evaluation.report.summary import summary
from editworld_core.evaluation.report.writing import write_report

__all__ = ["summary", "write_report"]
