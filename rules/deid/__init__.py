"""De-identification after PS3.15 annex E: tables as data, an engine, and ways to prove it."""
