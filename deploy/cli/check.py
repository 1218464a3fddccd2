"""`salingjaga check`: is the configuration right?"""

import os
from collections.abc import Callable
from pathlib import Path

import typer

from deploy.cli.console import err, out, printable
from deploy.cli.target import DEFAULT_DATA_DIR, DataDirOption
from deploy.embedded.data_dir import DataDir, EmbeddedError
from shared.config.errors import ConfigError
from shared.config.yaml_file import load_yaml
from shared.settings import Settings, get_settings

Check = Callable[[Settings], str]


def check(data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Validate all configuration and say what is wrong, where. Exit status 1 when something is."""
    settings = get_settings()
    _take_embedded_secrets(data_dir)
    checks: dict[str, Check] = {
        "sources": _sources,
        "calendar": _calendar,
        "rule pack": _rule_pack,
        "officers and alerting": _alerting,
    }
    wrong = False
    for name, run in checks.items():
        try:
            found = run(settings)
        except ConfigError as error:
            wrong = True
            err.print(f"[red]wrong[/red]  {name}")
            err.print(printable(str(error)), markup=False, highlight=False, soft_wrap=True)
        else:
            out.print(f"[green]ok[/green]     {name}: {found}", highlight=False)
    if wrong:
        raise typer.Exit(1)


def _take_embedded_secrets(data_dir: Path) -> None:
    try:
        secrets = DataDir(data_dir).credentials().source_secrets
    except EmbeddedError:
        return
    for name, value in secrets.items():
        os.environ.setdefault(name, value)


def _sources(settings: Settings) -> str:
    from services.ingest.sources import Sources

    sources = load_yaml(settings.config_file("sources.yaml"), Sources)
    sources.check_secrets()
    return ", ".join(sources.sources)


def _calendar(settings: Settings) -> str:
    from shared.calendar import Calendar

    Calendar.load(settings.config_file("calendar.yaml"))
    return "valid"


def _rule_pack(_: Settings) -> str:
    from services.classify.pack import RulePack

    return f"version {RulePack.load().version}"


def _alerting(settings: Settings) -> str:
    from services.alerts import officers as officers_file
    from services.alerts import rules as rules_file
    from services.alerts.officers import Officers, uncovered
    from services.alerts.rules import AlertingRules
    from shared.regions import RegionResolver

    load_yaml(settings.config_file(rules_file.FILE_NAME), AlertingRules)
    officers = load_yaml(settings.config_file(officers_file.FILE_NAME), Officers)
    if not officers.officers:
        return "no officers yet: notifications go to a file"
    missing = uncovered(officers, [code for code, _ in RegionResolver.load().regencies()])
    told = f"{len(officers.officers)} officers"
    if missing:
        told += (
            f"; {len(missing)} regencies have nobody of their own or their province, such as {', '.join(missing[:5])}"
        )
    return told
