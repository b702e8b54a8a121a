"""Conversion of published weights into parameter trees."""
