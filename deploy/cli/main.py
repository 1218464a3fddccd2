"""The commands, and how an error reaches the user: in one sentence, never as a traceback for a foreseeable fault."""

import importlib
import sys

import typer

from deploy.cli.console import fail
from deploy.embedded.data_dir import EmbeddedError
from shared.bus.errors import DependencyAwayError
from shared.config.errors import ConfigError

app = typer.Typer(
    name="salingjaga",
    help="From a field report to the officer who must know.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


COMMANDS = (
    "up",
    "serve",
    "send",
    "query",
    "classify",
    "evaluate",
    "train",
    "check",
    "bench",
    "replay",
    "forget",
    "packet",
    "reconcile",
)
GROUPS = ("quarantine", "alerts", "submission", "reporter", "audit", "keys")


def _add_commands(wanted: str) -> None:
    """Each command lives in a module of its name; only the wanted one is imported, all of them for the help page."""
    known = (*COMMANDS, *GROUPS)
    for name in [wanted] if wanted in known else known:
        module = importlib.import_module(f"deploy.cli.{name}")
        if name in GROUPS:
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name))


@app.callback()
def _salingjaga() -> None:
    """From a field report to the officer who must know."""


def main() -> None:
    """Run the command line. Exit status 0 success, 1 a failure, 2 wrong usage."""
    _add_commands(sys.argv[1] if len(sys.argv) > 1 else "")
    try:
        app()
    except (EmbeddedError, ConfigError, DependencyAwayError) as error:
        fail(str(error))
    except BrokenPipeError:  # the reader of our output has gone; nobody is left to tell
        sys.stderr.close()
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
