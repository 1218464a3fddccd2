"""The commands, and how an error reaches the user: in one sentence, never as a traceback for a foreseeable fault."""

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


def _add_commands() -> None:
    from deploy.cli import alerts, bench, check, classify, evaluate, quarantine, query, send, serve, up

    app.command("up")(up.up)
    app.command("serve")(serve.serve)
    app.command("send")(send.send)
    app.command("query")(query.query)
    app.command("classify")(classify.classify)
    app.command("evaluate")(evaluate.evaluate)
    app.command("check")(check.check)
    app.command("bench")(bench.bench)
    app.add_typer(quarantine.app, name="quarantine")
    app.add_typer(alerts.app, name="alerts")


def main() -> None:
    """Run the command line. Exit status 0 success, 1 a failure, 2 wrong usage."""
    _add_commands()
    try:
        app()
    except (EmbeddedError, ConfigError, DependencyAwayError) as error:
        fail(str(error))
    except BrokenPipeError:  # the reader of our output has gone; nobody is left to tell
        sys.stderr.close()
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
