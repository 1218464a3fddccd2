"""What `salingjaga check` minds about officers, steps and links."""

import pytest

from deploy.cli.check import mind
from services.alerts.officers import Officers
from services.alerts.rules import AlertingRules

FAR = "mailtos://u:rahasia@smtp.contoh.id?to=b@x.id"
NEAR = "json://127.0.0.1:9000/alerts"
OUTSIDE = "https://jaga.contoh.id"


def minded(channels: list[str], url: str, *, roles: tuple[str, ...] = ("national",)) -> str:
    """All that is minded of one officer for all of Indonesia, with these channels."""
    officer = {"id": "nasional", "role": "national", "regions": ["*"], "channels": channels}
    rules = AlertingRules.model_validate({"escalation": {"steps": [{"after_minutes": 5, "roles": roles}]}})
    return "\n".join(mind(Officers.model_validate({"officers": [officer]}), rules, url))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost:8080", "http://0.0.0.0:80", "http://[::1]:80"]
)
def test_links_that_open_on_this_machine_only_are_minded_when_an_officer_is_elsewhere(url: str) -> None:
    for far in (FAR, "tgram://123456789:AbCdEfGhIjKlMnOpQrStUvWx/987654321"):
        said = minded([NEAR, far], url)
        assert f"links in notifications begin with {url}" in said
        assert "such as nasional: set SALINGJAGA_PUBLIC_URL" in said
        assert "rahasia" not in said


def test_links_are_not_minded_when_they_lead_outside_or_every_channel_is_here() -> None:
    assert "links" not in minded([FAR], OUTSIDE)
    assert "links" not in minded([NEAR, "mailto://localhost:2525?from=a@x.id&to=b@x.id"], "http://127.0.0.1:8080")


def test_a_step_that_names_roles_nobody_has_is_minded_wholly_or_in_part() -> None:
    whole = minded([NEAR], OUTSIDE, roles=("head",))
    assert "step 1 of the escalation reaches nobody: no officer has the role head" in whole
    part = minded([NEAR], OUTSIDE, roles=("national", "head"))
    assert "step 1 of the escalation reaches only a part: no officer has the role head" in part
    assert "step" not in minded([NEAR], OUTSIDE)
