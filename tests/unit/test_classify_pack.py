"""The rule pack is complete, and a broken one says where."""

import shutil
from pathlib import Path

import pytest

from services.classify.pack import DEFAULT_PACK, RulePack
from shared.config.errors import ConfigError
from shared.contracts import Regime

ALL_CODES = [
    "asn_campaign_participation",
    "asn_support_statement",
    "asn_social_media",
    "asn_prop_display",
    "asn_pre_nomination",
    "asn_mobilisation",
    "non_asn_staff_partisan",
    "village_head_partisan",
    "official_partisan_decision",
    "tni_partisan",
    "polri_partisan",
    "bumn_bumd_partisan",
    "candidate_involves_prohibited",
    "mp_cash",
    "mp_goods",
    "mp_voucher_digital",
    "mp_promise",
    "mp_transport_meal",
    "mp_data_collection",
    "mp_dawn_attack",
    "mp_receiver",
    "mp_organizer_bribe",
    "mp_unspecified",
    "misuse_state_facility",
    "misuse_social_aid",
    "petahana_reshuffle",
    "intimidation",
    "hoax_black_campaign",
    "campaign_prop_violation",
    "prop_vandalism",
    "prohibited_place",
    "out_of_schedule_campaign",
    "campaign_children",
    "organizer_misconduct",
    "vote_manipulation",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEFAULT_PACK, tmp_path / "pack"))


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_every_code_of_the_taxonomy_has_a_rule_a_name_and_a_frame() -> None:
    pack = RulePack.load()
    assert sorted(rule.code for rule in pack.codes.codes) == sorted(ALL_CODES)
    assert {frame.code for frame in pack.frames.frames} == set(ALL_CODES)
    assert all(rule.name and rule.elements for rule in pack.codes.codes)


def test_every_code_has_a_norm_in_at_least_one_regime_and_no_pilkada_report_cites_an_election_law_article() -> None:
    pack = RulePack.load()
    norms = {norm.id: norm for norm in pack.norms}
    for rule in pack.codes.codes:
        assert rule.norms, rule.code
        for norm in (norms[n] for n in rule.norms):
            assert not (norm.applies(Regime.PILKADA) and "UU 7/2017" in norm.citation)
            assert not (norm.applies(Regime.PEMILU) and "UU 10/2016" in norm.citation)


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("frames.yaml", "code: asn_prop_display", "code: asn_propp", "asn-apk: code 'asn_propp' is not in codes.yaml"),
        ("frames.yaml", "code: asn_prop_display", "code: asn_social_media", "code asn_prop_display has no frame"),
        ("frames.yaml", "act.put+obj.prop", "act.putt+obj.prop", "concept 'act.putt' is not in lexicon.yaml"),
        ("frames.yaml", "{actor: [actor.asn], act: [act.pose]}", "{actor: [$asn], act: [act.pose]}", "group 'asn'"),
        ("codes.yaml", "uu6-2014-29,", "uu6-2014-99,", "norm 'uu6-2014-99' is not in norms.yaml"),
        ("tone.yaml", "concepts: [tone.debunk]", "concepts: [tone.hoax]", "concept 'tone.hoax' is not in lexicon.yaml"),
        ("norms.yaml", "verified: true, sanction", "verified: maybe, sanction", "norms.yaml, line 5"),
        ("lexicon.yaml", "slang:\n", "slang:\n  entahlah: [gak]\n", "'gak' stands for both"),
        ("pack.yaml", "version:", "versions:", "pack.yaml, line 1"),
    ],
)
def test_a_mistake_names_file_and_place(folder: Path, name: str, old: str, new: str, told: str) -> None:
    replace(folder / name, old, new)
    with pytest.raises(ConfigError) as caught:
        RulePack.load(folder)
    assert told in str(caught.value)
    assert name in str(caught.value)


def test_broken_yaml_and_a_missing_file_are_told_apart(folder: Path) -> None:
    (folder / "tone.yaml").write_text("signs: [", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"tone\.yaml, line 1: not valid YAML"):
        RulePack.load(folder)
    (folder / "tone.yaml").unlink()
    with pytest.raises(ConfigError, match=r"tone\.yaml: the file is missing"):
        RulePack.load(folder)
