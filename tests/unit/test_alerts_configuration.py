"""officers.yaml and alerting.yaml: what is refused, with which words, and who is told of a place."""

from pathlib import Path

import pytest

from services.alerts.officers import Officers, uncovered
from services.alerts.rules import AlertingRules
from shared.config.errors import ConfigError
from shared.config.yaml_file import load_yaml

CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "config"


def officers(*entries: tuple[str, str, str]) -> Officers:
    """Officers from (id, role, region)."""
    return Officers.model_validate(
        {
            "officers": [
                {"id": id_, "role": role, "regions": [region], "channels": ["json://127.0.0.1:9000/alerts"]}
                for id_, role, region in entries
            ]
        }
    )


def ids(configured: Officers, region: str, districts: tuple[str, ...] = ()) -> set[str]:
    """Who is told of a place."""
    return {officer.id for officer in configured.for_place(region, districts)}


ALL_LEVELS = officers(
    ("nasional", "national", "*"),
    ("kalsel", "province", "63"),
    ("balangan", "regency", "63.11"),
    ("paringin", "panwascam", "63.11.05"),
    ("operator", "operator", "*"),
)


@pytest.mark.parametrize(
    ("region", "told"),
    [
        ("63.11", {"balangan"}),
        ("63.01", {"kalsel"}),
        ("63", {"kalsel"}),
        ("64.71", {"nasional"}),
        ("", {"nasional"}),
    ],
)
def test_the_officers_of_the_smallest_region_around_a_place_are_told(region: str, told: set[str]) -> None:
    assert ids(ALL_LEVELS, region) == told


def test_officers_of_a_district_are_told_beside_their_regency() -> None:
    assert ids(ALL_LEVELS, "63.11", ("63.11.05",)) == {"balangan", "paringin"}


def test_a_region_code_covers_only_what_lies_inside_it() -> None:
    assert ids(officers(("a", "regency", "63.11")), "63.1") == set()
    assert ids(officers(("a", "province", "63")), "64.71") == set()


def test_nobody_is_told_where_nobody_covers_the_place_and_check_can_name_it() -> None:
    only_balangan = officers(("balangan", "regency", "63.11"))
    assert ids(only_balangan, "81.71") == set()
    assert uncovered(only_balangan, ["63.11", "81.71"]) == ["81.71"]
    assert uncovered(officers(), ["63.11"]) == []


def test_operators_are_told_that_the_system_fails_else_the_national_officers_else_everybody() -> None:
    assert [officer.id for officer in ALL_LEVELS.operators()] == ["operator"]
    without = officers(("nasional", "national", "*"), ("balangan", "regency", "63.11"))
    assert [officer.id for officer in without.operators()] == ["nasional"]
    assert [officer.id for officer in officers(("balangan", "regency", "63.11")).operators()] == ["balangan"]


def test_the_committed_files_are_valid_and_alerting_yaml_spells_out_the_defaults() -> None:
    assert load_yaml(CONFIG / "officers.yaml", Officers).officers == ()
    assert load_yaml(CONFIG / "alerting.yaml", AlertingRules) == AlertingRules()


def test_the_commented_examples_of_officers_yaml_are_valid(tmp_path: Path) -> None:
    lines = (CONFIG / "officers.yaml").read_text().split("officers: []\n")[1].splitlines()
    example = tmp_path / "officers.yaml"
    example.write_text("\n".join(line.removeprefix("# ") for line in lines))
    content = load_yaml(example, Officers)
    assert (len(content.officers), len(content.rotas)) == (5, 1)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("- {id: a, role: regency, regions: ['63.99'], channels: ['json://h/x']}", "Kemendagri"),
        ("- {id: a, role: regency, regions: ['Balangan'], channels: ['json://h/x']}", "no region code"),
        ("- {id: a, role: chief, regions: ['63.11'], channels: ['json://h/x']}", "panwascam"),
        ("- {id: a, role: regency, regions: ['63.11'], channels: []}", "at least 1"),
        ("- {id: a, role: regency, regions: ['63.11'], channels: ['json://h/x'], phone: '1'}", "not permitted"),
        ("- {id: 'a b', role: regency, regions: ['63.11'], channels: ['json://h/x']}", "pattern"),
    ],
)
def test_a_mistake_in_officers_yaml_names_its_line_and_cure(tmp_path: Path, line: str, complaint: str) -> None:
    file = tmp_path / "officers.yaml"
    file.write_text(f"officers:\n  {line}\n")
    with pytest.raises(ConfigError, match="line 2") as caught:
        load_yaml(file, Officers)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("url", ["pigeon://sangat-rahasia/loft", "mailto://sangat-rahasia", "sangat-rahasia"])
def test_a_channel_that_cannot_work_is_refused_without_showing_its_secrets(tmp_path: Path, url: str) -> None:
    file = tmp_path / "officers.yaml"
    file.write_text(f"officers:\n  - {{id: a, role: national, regions: ['*'], channels: ['{url}']}}\n")
    with pytest.raises(ConfigError, match="Apprise") as caught:
        load_yaml(file, Officers)
    assert "sangat-rahasia" not in str(caught.value)


def test_two_officers_cannot_share_an_id() -> None:
    with pytest.raises(ValueError, match="'a' is used twice"):
        officers(("a", "regency", "63.11"), ("a", "regency", "63.01"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("notify: {group_interval_minutes: 60, repeat_interval_hours: 0.5}", "must not be shorter"),
        ("flag: {single_report_severity: none}", "would flag every text"),
        ("flag: {burst: {within_hours: 700}}\nmemory: {days: 2}", "memory.days"),
        ("sending: {timeout_seconds: 60, lease_seconds: 30}", "told twice"),
        ("flag: {bursts: {incidents: 2}}", "not permitted"),
        ("limits: {per_hour: 20, critical_per_hour: 10}", "must not be smaller"),
        ("escalation: {steps: [{after_minutes: 5, roles: [chief]}]}", "head"),
        ("escalation: {acknowledge: everybody}", "'any' or 'all'"),
        ("flag: {burst: {incidents: 1}}", "greater than or equal to 2"),
        ("flag: {corroboration: {senders: 1}}", "would raise every report"),
        ("flag: {corroboration: {senders: 50}}\nmemory: {reports: 20}", "flag.corroboration.senders"),
        ("flag: {alone_instead: [{severity: none}]}", "would flag every text"),
        ("flag: {alone_instead: [{severity: medium, stages: [tenang]}]}", "masa_tenang"),
        ("flag: {heartbeat: {day_from_hour: 22, day_to_hour: 6}}", "later than day_from_hour"),
        ("flag: {pattern: {within_days: 40}}", "memory.days"),
    ],
)
def test_rules_that_contradict_each_other_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "alerting.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"alerting\.yaml, line") as caught:
        load_yaml(file, AlertingRules)
    assert complaint in str(caught.value)
