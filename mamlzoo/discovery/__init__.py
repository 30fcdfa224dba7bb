"""Find plugins: those that are installed, and those that are brought along in a file."""
