"""Conducts: rings for what was lost or is due, forgets what nobody is owed, fills the gauges."""
