"""`salingjaga check`: is the configuration right?"""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer

from deploy.cli.console import err, out, printable
from deploy.cli.target import DEFAULT_DATA_DIR, DataDirOption
from deploy.embedded.data_dir import DataDir, EmbeddedError
from shared.config.errors import ConfigError
from shared.config.yaml_file import load_yaml
from shared.settings import Settings, get_settings

if TYPE_CHECKING:
    from services.alerts.officers import Officers
    from services.alerts.rules import AlertingRules

Check = Callable[[Settings], str]


def check(data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Validate all configuration and say what is wrong, where. Exit status 1 when something is."""
    settings = get_settings()
    _take_embedded_secrets(data_dir)
    checks: dict[str, Check] = {
        "sources": _sources,
        "calendar": _calendar,
        "rule pack and text model": _classifier,
        "officers and alerting": _alerting,
        "texts of notifications": _texts,
        "retention": _retention,
        "master keys": lambda _: _keys(data_dir),
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
            out.print(f"[green]ok[/green]     {name}: {found}", highlight=False, soft_wrap=True)
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
    from shared.regions import RegionResolver

    sources = load_yaml(settings.config_file("sources.yaml"), Sources)
    sources.check_secrets()
    regions = RegionResolver.load()
    unknown = [
        f"source {name}: region_prior: there is no province, regency or city with the code {code}"
        for name, source in sources.sources.items()
        for code in source.prior_codes()
        if regions.by_code(code) is None
    ]
    if unknown:
        raise ConfigError("\n".join(unknown))
    return ", ".join(sources.sources)


def _calendar(settings: Settings) -> str:
    from shared.calendar import Calendar

    Calendar.load(settings.config_file("calendar.yaml"))
    return "valid"


def _classifier(_: Settings) -> str:
    from services.classify.engine import Classifier

    classifier = Classifier.load()
    return f"versions {classifier.rule_pack_version} and {classifier.model_version}"


def _alerting(settings: Settings) -> str:
    from services.alerts import officers as officers_file
    from services.alerts import rules as rules_file
    from services.alerts.officers import Officers
    from services.alerts.rules import AlertingRules

    rules = load_yaml(settings.config_file(rules_file.FILE_NAME), AlertingRules)
    officers = load_yaml(settings.config_file(officers_file.FILE_NAME), Officers)
    if not officers.officers:
        return "no officers yet: notifications go to a file"
    complaints = mind(officers, rules, settings.alerts_url)
    return "\n        mind: ".join([f"{len(officers.officers)} officers", *complaints])


def mind(officers: "Officers", rules: "AlertingRules", alerts_url: str) -> list[str]:
    """What is allowed and yet hardly meant: regions without officers, steps and links that reach nobody."""
    from services.alerts.officers import gaps, uncovered, without_own
    from shared.regions import RegionResolver

    regencies = [code for code, _ in RegionResolver.load().regencies()]
    complaints = []
    if nobody := uncovered(officers, regencies):
        complaints.append(
            f"{len(nobody)} regencies have nobody of their own or their province, such as {_some(nobody)}: "
            "of them only the operators are told; add officers for them, or national ones (regions: ['*'])"
        )
    if elsewhere := without_own(officers, regencies):
        complaints.append(
            f"{len(elsewhere)} regencies have no officers of their own, such as {_some(elsewhere)}: "
            "their province's or the national ones are told"
        )
    for region, moment in gaps(officers, datetime.now(UTC)).items():
        complaints.append(
            f"nobody of {region} is on duty from {moment.isoformat(sep=' ', timespec='minutes')} on: "
            "the parent region is told; see 'days' of its rota"
        )
    roles = {officer.role for officer in officers.officers}
    for number, step in enumerate(rules.escalation.steps, start=1):
        missing = [role for role in step.roles if role not in roles]
        if len(missing) == len(step.roles):
            complaints.append(
                f"step {number} of the escalation reaches nobody: no officer has the role {' or '.join(missing)}; "
                "it is passed over"
            )
        elif missing:
            complaints.append(
                f"step {number} of the escalation reaches only a part: no officer has the role {' or '.join(missing)}"
            )
    return complaints + _links_that_lead_nowhere(officers, alerts_url)


def _links_that_lead_nowhere(officers: "Officers", alerts_url: str) -> list[str]:
    from services.alerts.channels import is_this_machine, leads_away

    elsewhere = [officer.id for officer in officers.officers if any(map(leads_away, officer.channels))]
    if not elsewhere or not is_this_machine(urlsplit(alerts_url).hostname or ""):
        return []
    return [
        f"links in notifications begin with {alerts_url}, which opens on this machine only, while {len(elsewhere)} "
        f"officers have channels beyond it, such as {_some(elsewhere)}: set SALINGJAGA_PUBLIC_URL "
        "(docs/acknowledging.md)"
    ]


def _some(codes: list[str]) -> str:
    return ", ".join(codes[:5])


def _texts(_: Settings) -> str:
    from services.alerts.render import check_templates

    return f"{check_templates()} templates"


def _retention(settings: Settings) -> str:
    from services.archive.retention import FILE_NAME, Retention

    retention = load_yaml(settings.config_file(FILE_NAME), Retention)
    return ", ".join(f"{name.removesuffix('_days')} {days} days" for name, days in retention.model_dump().items())


def _keys(data_dir: Path) -> str:
    from shared.vault.keys import KeyRing

    settings = get_settings()
    own = DataDir(data_dir).keys
    if not settings.key_file and not settings.master_keys.get_secret_value():
        if not own.exists():
            return "none yet: `salingjaga up` makes one"
        settings = settings.model_copy(update={"key_file": own})
    keys = KeyRing(settings).current
    return f"{keys.active} is active, {len(keys.keys)} in the ring"
