"""Embeds whole files in parts, so that a stopped run can be resumed."""
