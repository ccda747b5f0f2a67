"""The edits of a route: what may be written, as models, and each one carried out."""
