"""Who became whom under de-identification, kept so that only a key of the site can read it."""
