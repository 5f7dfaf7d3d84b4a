"""`python -m forbear` is the command `forbear`."""

from forbear.cli.main import main

main()
