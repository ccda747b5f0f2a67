"""Moves DICOM objects: receives, remembers, routes, sends and shows them."""
