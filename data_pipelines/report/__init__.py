"""The report page and figures of a built dataset."""
