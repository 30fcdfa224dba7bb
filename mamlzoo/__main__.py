"""`python -m mamlzoo`."""

from mamlzoo.cli import main

main(prog_name="mamlzoo")
