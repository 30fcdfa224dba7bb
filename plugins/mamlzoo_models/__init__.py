"""The built-in models, one module each."""
