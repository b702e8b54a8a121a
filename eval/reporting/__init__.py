"""What a reader gets: report.md and report.json, figures, and the published numbers beside ours."""
