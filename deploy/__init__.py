"""How Salingjaga runs: on one machine (`embedded`), from the command line (`cli`), and its configuration."""
