"""The report: report.md, report.json, figures, and published numbers beside ours."""
