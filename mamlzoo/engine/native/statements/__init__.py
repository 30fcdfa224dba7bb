"""Pieces of C++ that a program is made of, and the functions that they call."""
