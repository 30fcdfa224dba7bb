"""`python -m mamlzoo`: the command line."""

from mamlzoo.cli import main

main(prog_name="mamlzoo")
