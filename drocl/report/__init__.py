"""The verification page and the figures: both read result files, neither runs a claim."""

from drocl.report.figures import FigureError, draw_figures, figure_files, read_index
from drocl.report.page import write_report

__all__ = ["FigureError", "draw_figures", "figure_files", "read_index", "write_report"]
