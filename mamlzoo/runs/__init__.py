"""An experiment as it runs: made from names, executed as events, recorded in a directory, gone on with."""
