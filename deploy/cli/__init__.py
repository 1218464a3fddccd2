"""The command line: `salingjaga`."""
