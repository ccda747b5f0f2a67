"""Encoded data sets: read, walked and changed where they stand, the rest left as it is."""
