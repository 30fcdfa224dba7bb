"""The built-in meta-algorithms, one module each."""
