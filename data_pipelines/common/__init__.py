"""What every part uses: errors as sentences, files that are never half written, progress, JSON,
Markdown."""
