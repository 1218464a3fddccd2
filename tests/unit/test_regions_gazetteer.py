"""The list of names: complete, consistent with the official codes, and careful with everyday words."""

from importlib import resources
from typing import Any

import pytest
import yaml

from shared.regions.gazetteer import DISTRICT, REGENCY, Gazetteer, consonants, is_city, normal


@pytest.fixture(scope="module")
def gazetteer() -> Gazetteer:
    return Gazetteer.load()


@pytest.fixture(scope="module")
def people() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(resources.files("shared.regions").joinpath("names.yaml").read_text("utf-8"))
    return loaded


def test_nicknames_and_seats_stand_under_official_names(gazetteer: Gazetteer, people: dict[str, Any]) -> None:
    official = {name for code, name in gazetteer.official.items() if len(code) <= REGENCY}
    for section in ("nicknames", "seats"):
        assert set(people[section]) - official == set()
    assert set(people["news_towns"]) - official == set()


def test_every_nickname_is_written_in_the_form_in_which_texts_are_searched(people: dict[str, Any]) -> None:
    written = [name for section in ("nicknames", "seats") for names in people[section].values() for name in names]
    written += people["ordinary_names"]
    assert [name for name in written if name != normal(name)] == []


def test_every_nickname_leads_to_its_region(gazetteer: Gazetteer, people: dict[str, Any]) -> None:
    codes = {name: code for code, name in gazetteer.official.items() if len(code) <= REGENCY}
    for full_name, names in people["nicknames"].items():
        for name in names:
            assert codes[full_name] in gazetteer.names[name], name


def test_every_seat_leads_into_its_regency(gazetteer: Gazetteer, people: dict[str, Any]) -> None:
    codes = {name: code for code, name in gazetteer.official.items() if len(code) <= REGENCY}
    for full_name, names in people["seats"].items():
        for name in names:
            assert any(code.startswith(codes[full_name]) for code in gazetteer.names[name]), name


def test_every_village_lies_in_a_known_district(gazetteer: Gazetteer) -> None:
    codes = [code for codes in gazetteer.villages.values() for code in codes.split()]
    assert len(codes) == 83_762
    assert {code[:DISTRICT] for code in codes} - set(gazetteer.official) == set()


def test_numbers_of_regions_are_those_of_the_ministry(gazetteer: Gazetteer) -> None:
    by_length = [sum(len(code) == length for code in gazetteer.official) for length in (2, 5, 8)]
    assert by_length == [38, 514, 7285]


def test_bps_codes_are_not_taken_for_the_ministrys(gazetteer: Gazetteer) -> None:
    # 7207 is Buol to the statistics office and Banggai Kepulauan to the ministry.
    assert gazetteer.official["72.07"] == "Kabupaten Banggai Kepulauan"


def test_names_are_compared_without_marks_and_case() -> None:
    assert normal("Sa'dan") == "sadan"
    assert normal("Toli-Toli") == "toli toli"
    assert normal("Misool (Misool Utara)") == "misool misool utara"
    assert consonants("banjarmasin") == consonants("banjermesin")


def test_cities_are_told_from_regencies_by_their_number() -> None:
    assert is_city("64.71")
    assert is_city("31.74.05")
    assert not is_city("63.11")


def test_a_seat_named_like_one_district_only_keeps_the_district(gazetteer: Gazetteer) -> None:
    assert gazetteer.names["cibinong"] == ("32.01.01",)
    assert gazetteer.names["amuntai"] == ("63.08",)


def test_no_everyday_word_is_taken_for_a_misspelt_region(gazetteer: Gazetteer) -> None:
    for word in ("langka", "sangat", "sampan", "pirang", "seruan"):
        assert word not in gazetteer.a_letter_short
