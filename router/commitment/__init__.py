"""Confirms: asks destinations to commit, hears their reports, and commits to modalities."""
