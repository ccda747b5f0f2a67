"""Decides per object: facts to verdict, derived objects, delivery rows."""
