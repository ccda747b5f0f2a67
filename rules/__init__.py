"""Decides where an object goes and with which edits. Pure: no clock, network or database."""
