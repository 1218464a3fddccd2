"""`python -m deploy.cli` is `salingjaga`."""

from deploy.cli.main import main

main()
