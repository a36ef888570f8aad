"""`python -m openstage.cli`: the command line where the program's own path can't be used."""

from openstage.cli import main

main()
