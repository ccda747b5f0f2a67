"""Files that users write: YAML with its places, and what is wrong in plain words."""
