"""What may be written under `when`, as models, and what each word asks of an object."""
