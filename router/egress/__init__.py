"""Sends: leases what is owed to a destination, delivers it, and records what became of it."""
