"""The reference of the public names and the record of them, made from the source as griffe reads it."""
