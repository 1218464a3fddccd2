"""What each adapter makes of what its sender posts: good, odd and hostile."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.adapters import ADAPTERS, Draft, Fields, NotUnderstoodError
from tests.channels import FILES, posted

DEFAULT = Fields()
LENIENT = sorted(FILES)


def drafts(adapter: str, body: bytes | dict[str, Any], fields: Fields = DEFAULT) -> list[Draft]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = [read.draft for read in ADAPTERS[adapter].read(raw, fields)]
    assert all(found), "understood"
    return [one for one in found if one]


def draft(adapter: str, body: bytes | dict[str, Any], fields: Fields = DEFAULT) -> Draft:
    [only] = drafts(adapter, body, fields)
    return only


def ids(adapter: str, body: bytes | dict[str, Any]) -> list[str]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [read.external_id for read in ADAPTERS[adapter].read(raw, DEFAULT)]


def changed(name: str, **values: object) -> dict[str, Any]:
    return {**json.loads(posted(name)), **values}


@pytest.mark.parametrize("adapter", LENIENT)
def test_no_reporter_stands_in_the_text_and_each_is_known_by_something_steady(adapter: str) -> None:
    for one in drafts(adapter, posted(adapter)):
        assert one.reporter or adapter == "ushahidi"
        for identity in one.reporter:
            assert identity not in one.text


@pytest.mark.parametrize("adapter", LENIENT)
def test_what_was_kept_reads_as_it_did_at_the_door(adapter: str) -> None:
    raw = posted(adapter)
    for read in ADAPTERS[adapter].read(raw, DEFAULT):
        assert read.external_id
        assert read.body is not None
        assert ADAPTERS[adapter].draft(read.body, DEFAULT) == read.draft


def test_kobo_takes_answers_place_time_and_file_and_leaves_its_own_fields() -> None:
    one = draft("kobo", posted("kobo"))
    assert one.text.startswith("Kronologi: Kades di Kec. Paringin")
    assert one.coordinates == (-2.3341, 115.4702)
    assert one.sent_at == datetime(2024, 11, 25, 12, 10, 27, tzinfo=UTC)
    assert one.reporter[0] == "081234567890"
    assert one.receivers == ("aBalangan1",)
    assert [file.url for file in one.attachments] == ["https://kobo.example/media/1732536000000.jpg"]
    for own in ("pengawas07", "collect:", "jpg", "vA1", "uuid"):
        assert own not in one.text


def test_a_field_map_builds_labelled_lines_and_reads_the_time() -> None:
    fields = Fields.model_validate(
        {"text": "kronologi", "place": ["kejadian/titik"], "time": "waktu", "reporter": ["no_hp", "nama_pelapor"]}
    )
    one = draft("kobo", posted("kobo"), fields)
    assert one.text.splitlines()[1].startswith("Lokasi: -2.3341")
    assert one.text.startswith("Kades")
    assert one.occurred_at == datetime(2024, 11, 25, 11, 30, tzinfo=UTC)
    assert one.reporter == ("081234567890", "Siti Contoh")


def test_kobo_wrapped_in_fields_without_a_place_or_with_an_id_only_in_uuid_is_the_same_submission() -> None:
    plain = json.loads(posted("kobo"))
    assert ids("kobo", {"fields": plain}) == ids("kobo", plain)
    del plain["meta/rootUuid"]
    assert ids("kobo", plain) == ids("kobo", posted("kobo"))
    del plain["kejadian/titik"]
    assert draft("kobo", plain).coordinates is None
    assert draft("kobo", {**plain, "_geolocation": [-2.3, 115.4]}).coordinates == (-2.3, 115.4)


def test_kobo_repeats_are_read_answer_by_answer() -> None:
    body = changed("kobo", saksi=[{"saksi/nama_saksi": "A"}, {"saksi/nama_saksi": "B"}])
    assert "Nama saksi: A, B" in draft("kobo", body).text


@pytest.mark.parametrize("adapter", LENIENT)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<?xml version='1.0'?><data><a>1</a></data>",
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"\x00\xff\xfe",
        b"null",
        b"{}",
        b"[]",
        b'{"fields": 5, "entry": 5, "update_id": 1, "message": 5, "id": [], "form_response": 5, "named_values": 5}',
    ],
    ids=["empty", "xml", "deep list", "deep object", "binary", "null", "object", "list", "wrong types"],
)
def test_what_is_not_understood_is_kept_whole_and_fails_again_in_the_normaliser(adapter: str, body: bytes) -> None:
    for read in ADAPTERS[adapter].read(body, DEFAULT):
        if read.draft is None:
            assert (body if read.body is None else read.body) == body
            with pytest.raises(NotUnderstoodError):
                ADAPTERS[adapter].draft(body, DEFAULT)


def test_odk_reads_the_form_inside_the_event() -> None:
    fields = Fields.model_validate({"text": "kronologi", "time": "waktu", "reporter": "telepon"})
    one = draft("odk", posted("odk"), fields)
    assert one.text.startswith("Camat di Kec. Tarogong Kidul")
    assert one.occurred_at == datetime(2024, 10, 19, 17, tzinfo=UTC)
    assert one.coordinates == (-7.2061, 107.885)
    assert one.receivers == ("pengawasan-kampanye",)
    assert ids("odk", posted("odk")) == ["7e0b6d4e-6c3d-4a54-8a58-b0a5f0c2a002"]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "submission.update", "id": "uuid:1", "data": {"reviewState": "hasIssues"}},
        {"type": "entity.update.version", "id": "uuid:1", "data": {"prop": "v"}},
    ],
)
def test_odk_states_and_entities_are_taken_and_dropped(event: dict[str, Any]) -> None:
    assert drafts("odk", event) == []


def test_odk_xml_that_would_eat_memory_or_read_files_is_not_read() -> None:
    bomb = '<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><data><x>&b;</x></data>'
    file = '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><data><x>&a;</x></data>'
    deep = "<a>" * 50_000 + "x" + "</a>" * 50_000
    for xml in (bomb, file, "<data>", deep.replace("</a>", "", 1)):
        [read] = ADAPTERS["odk"].read(json.dumps({"type": "submission.create", "data": {"xml": xml}}).encode(), DEFAULT)
        assert read.draft is None


def test_whatsapp_takes_every_message_of_a_call_once() -> None:
    text, location, image, named = drafts("whatsapp", posted("whatsapp"))
    assert ids("whatsapp", posted("whatsapp")) == ["wamid.A1", "wamid.A2", "wamid.A3", "wamid.B1"]
    assert text.text.startswith("Timses paslon 1")
    assert text.reporter == ("6281234567892", "Warga Contoh")
    assert text.receivers == ("+62 812 0000 0001", "106540001")
    assert (location.coordinates, location.text) == ((-3.8, 114.77), "Lokasi: Balai Desa, Pelaihari")
    [file] = image.attachments
    assert (file.url, file.type, file.sha256) == ("whatsapp-media:3201150101900001", "image/jpeg", "q83vEjRWeJA=")
    assert named.reporter == ("ID.7781", "wargadua", "Warga Dua"), "a sender without a phone number"


def test_only_web_addresses_and_the_channels_own_files_are_attachments() -> None:
    for url in ("javascript:alert(1)", "file:///etc/passwd", "whatsapp-media:081234567890", "https://" + "a" * 3_000):
        body = changed("rapidpro", input={"text": "ada amplop", "attachments": [{"url": url}]})
        assert draft("rapidpro", body).attachments == ()


def test_whatsapp_states_and_reactions_hold_no_report_and_unknown_kinds_are_kept() -> None:
    assert drafts("whatsapp", posted("whatsapp_status.json")) == []
    call = json.loads(posted("whatsapp"))
    value = call["entry"][0]["changes"][0]["value"]
    value["messages"] = [
        {"id": "1", "type": "reaction", "reaction": {}},
        {"id": "2", "type": "hologram", "hologram": {}},
        {"id": "3", "type": "text", "text": {"body": "ada amplop"}},
        7,
    ]
    reads = ADAPTERS["whatsapp"].read(json.dumps(call).encode(), DEFAULT)
    assert [bool(read.draft) for read in reads] == [False, True, False]


def test_an_edited_telegram_message_is_the_same_report_with_other_words() -> None:
    [first] = ADAPTERS["telegram"].read(posted("telegram"), DEFAULT)
    [edited] = ADAPTERS["telegram"].read(posted("telegram_edited.json"), DEFAULT)
    assert first.external_id == edited.external_id == "550011/41"
    assert first.content != edited.content


def test_telegram_takes_the_largest_picture_and_ignores_what_says_nothing() -> None:
    one = draft("telegram", posted("telegram_photo.json"))
    assert [file.url for file in one.attachments] == ["telegram-file:besar"]
    assert one.text == "spanduk di kantor camat"
    assert drafts("telegram", {"update_id": 5}) == []
    joined = changed("telegram")
    joined["message"] = {**joined["message"], "text": "/start"}
    assert drafts("telegram", joined) == []
    at = {"message_id": 4, "chat": {"id": 1}, "location": {"latitude": -2.890287, "longitude": 115.004333}}
    assert draft("telegram", {"update_id": 6, "message": at}).coordinates == (-2.890287, 115.004333)


def test_twilio_takes_message_sender_and_media() -> None:
    one = draft("twilio", posted("twilio"))
    assert one.text.startswith("Lurah di Kota Balikpapan")
    assert one.reporter == ("+6281234567893", "Warga Contoh")
    assert one.receivers == ("+6281200000002",)
    assert [file.type for file in one.attachments] == ["image/jpeg"]
    named = draft("twilio", b"From=whatsapp%3AUS.1234&ExternalUserId=whatsapp%3AUS.1234&Body=a&MessageSid=S")
    assert named.reporter == ("US.1234",)
    spot = draft("twilio", b"Body=&Latitude=-3.8&Longitude=114.77&Address=Pelaihari&MessageSid=S")
    assert (spot.coordinates, spot.text) == ((-3.8, 114.77), "Lokasi: Pelaihari")
    assert drafts("twilio", b"MessageStatus=delivered&MessageSid=S") == []


def test_a_rapidpro_run_that_calls_twice_is_two_reports_and_its_last_answer_stands_once() -> None:
    one = draft("rapidpro", posted("rapidpro"))
    assert one.text.count("Kabupaten Sampang") == 1
    assert "Lokasi: Kabupaten Sampang" in one.text
    assert one.reporter[0] == "+6281234567894"
    later = changed("rapidpro", path=[{"node_uuid": "n3"}])
    assert ids("rapidpro", posted("rapidpro")) == ["r1/n2"] != ids("rapidpro", later)
    assert "membagikan uang" in draft("rapidpro", changed("rapidpro", input=None)).text
    assert draft("rapidpro", {"pesan": "ada bagi amplop"}).text == "Pesan: ada bagi amplop"


def test_ushahidi_typeform_google_forms_and_sms_are_mapped() -> None:
    post = draft("ushahidi", posted("ushahidi"))
    assert (post.title, post.coordinates) == ("Bagi amplop di Jl. Merdeka / RT 02", (-0.09, 109.36))
    assert "99991" not in post.text
    form = draft("typeform", posted("typeform"))
    assert "Kabupaten kota: Kabupaten Cilacap" in form.text
    assert form.reporter == ("warga@contoh.id",)
    fields = Fields.model_validate({"time": "Waktu kejadian"})
    response = draft("google-forms", posted("google-forms"), fields)
    assert response.occurred_at == datetime(2024, 11, 25, 19, tzinfo=timezone(timedelta(hours=7)))
    assert "Tempat kejadian: Kecamatan Banjarsari, Kota Surakarta" in response.text
    assert "21:15" not in response.text
    sms = draft("sms", posted("sms"))
    assert (sms.text[:4], sms.reporter, sms.receivers) == ("Kade", ("+6281234567896",), ("1700",))
    own = Fields.model_validate({"text": "isi_sms", "reporter": "dari"})
    assert draft("sms", b"isi_sms=ada+amplop&dari=0812", own).reporter == ("0812",)


def test_a_date_with_the_month_first_is_not_guessed_and_stays_readable() -> None:
    named = {"Apa": ["ada amplop"], "Waktu": ["11/25/2024 19:00"]}
    fields = Fields.model_validate({"time": "Waktu"})
    one = draft("google-forms", {"form_id": "a", "response_id": "b", "named_values": named}, fields)
    assert one.occurred_at is None
    assert "Waktu: 11/25/2024 19:00" in one.text


def test_an_entry_of_a_feed_is_one_article_known_by_its_link() -> None:
    entry = {
        "id": "https://berita.example/7",
        "title": "Bawaslu Garut Gelar Sosialisasi",
        "text": "<p>GARUT - Bawaslu Kabupaten Garut menggelar sosialisasi.</p>",
        "url": "https://berita.example/7",
        "published": "2024-11-04T09:00:00+07:00",
    }
    raw = json.dumps(entry).encode()
    [read] = ADAPTERS["article"].read(raw, DEFAULT)
    one = ADAPTERS["article"].draft(raw, DEFAULT)
    assert read.external_id == one.url == "https://berita.example/7"
    assert one.title == "Bawaslu Garut Gelar Sosialisasi"
    assert "<p>" not in one.text
    assert one.occurred_at


@pytest.mark.parametrize("depth", [50, 300, 600, 900, 990, 2_000])
@pytest.mark.parametrize("adapter", [name for name in LENIENT if FILES[name].endswith(".json")])
def test_nesting_at_every_depth_is_survived(adapter: str, depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    body = posted(adapter)
    for at in (
        b'"text": {"body": "di sini juga ada"}',
        b'"text": "',
        b'"named_values": {',
        b'"values":{',
        b'"kejadian',
    ):
        if at in body:
            body = body.replace(at, b'"dalam": ' + deep + b", " + at, 1)
    for read in ADAPTERS[adapter].read(body, DEFAULT):
        if read.draft is None:
            with pytest.raises(NotUnderstoodError):
                ADAPTERS[adapter].draft(body if read.body is None else read.body, DEFAULT)


@pytest.mark.parametrize("adapter", ["telegram", "kobo", "sms"])
def test_a_text_as_long_as_a_book_is_put_aside_instead_of_read(adapter: str) -> None:
    book = "amplop " * 20_000
    body = {
        "telegram": {"update_id": 1, "message": {"message_id": 1, "chat": {"id": 1}, "text": book}},
        "kobo": {"_uuid": "1", "kronologi": book},
        "sms": {"id": "1", "text": book},
    }[adapter]
    [read] = ADAPTERS[adapter].read(json.dumps(body).encode(), DEFAULT)
    assert read.draft is None


def test_numbers_beyond_reason_and_half_characters_are_survived() -> None:
    for value in (b"9" * 6_000, b"-1e400", b'"\\ud800"', b"1.5", b"true"):
        body = b'{"update_id": 1, "message": {"message_id": %b, "chat": {"id": %b}, "date": %b, "text": "ada amplop"}}'
        for read in ADAPTERS["telegram"].read(body % (value, value, value), DEFAULT):
            assert read.draft is None or read.draft.text == "ada amplop"


_LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_ANYTHING = st.recursive(
    _LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


@st.composite
def disturbed(draw: st.DrawFn, name: str) -> bytes:
    """A real body in which values at random places are of any type."""
    body = json.loads(posted(name))
    for _ in range(draw(st.integers(1, 3))):
        place: Any = body
        for _ in range(8):
            keys: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if not isinstance(place[key], dict | list) or draw(st.integers(0, 3)) == 0:
                place[key] = draw(_ANYTHING)
                break
            place = place[key]
    return json.dumps(body).encode()


@pytest.mark.parametrize("adapter", [name for name in LENIENT if FILES[name].endswith(".json")])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_values_of_any_type_anywhere_never_break_an_adapter(adapter: str, data: st.DataObject) -> None:
    raw = data.draw(disturbed(adapter))
    for read in ADAPTERS[adapter].read(raw, DEFAULT):
        body = raw if read.body is None else read.body
        if read.draft:
            assert ADAPTERS[adapter].draft(body, DEFAULT) == read.draft
        else:
            with pytest.raises(NotUnderstoodError):
                ADAPTERS[adapter].draft(body, DEFAULT)


@pytest.mark.parametrize("adapter", LENIENT)
@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=300) | _ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_no_body_whatever_breaks_an_adapter(adapter: str, body: bytes) -> None:
    for read in ADAPTERS[adapter].read(body, DEFAULT):
        if read.draft is None:
            with pytest.raises(NotUnderstoodError):
                ADAPTERS[adapter].draft(body if read.body is None else read.body, DEFAULT)
