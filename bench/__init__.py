"""Measures the router beside other makers' programs, in one run, by turns: `make bench`."""
