"""The one form that every benchmark is read into."""
