import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from deploy.embedded.data_dir import DataDir, EmbeddedError, Runtime
from deploy.embedded.system import without_proxy
from shared.vault.keys import read_key_file


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_credentials_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    folder = DataDir(tmp_path / "data")
    made = folder.prepare()
    assert DataDir(tmp_path / "data").credentials() == made
    assert (tmp_path / "data" / "credentials.json").stat().st_mode & 0o077 == 0
    assert made != DataDir(tmp_path / "other").prepare()


def test_a_full_disk_is_said_in_one_sentence_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12, 1024))
    with pytest.raises(EmbeddedError, match=r"has 0 MiB left; free some space .* --data-dir"):
        DataDir(tmp_path / "data").prepare()


def test_a_folder_that_cannot_be_made_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EmbeddedError, match="cannot be used"):
        DataDir(tmp_path / "file" / "data").prepare()


def test_a_second_system_in_the_folder_is_refused_and_leaves_the_first_one_findable(tmp_path: Path) -> None:
    first = DataDir(tmp_path)
    first.prepare()
    first.write_runtime(Runtime(os.getpid(), "http://127.0.0.1:1", 2, 3, {}, {}))
    second = DataDir(tmp_path)
    with pytest.raises(EmbeddedError, match="Another Salingjaga runs in"):
        second.prepare()
    second.remove_runtime()
    assert DataDir(tmp_path).runtime().redis_port == 2


def test_a_system_that_was_ended_without_a_word_is_not_taken_for_running(tmp_path: Path) -> None:
    folder = DataDir(tmp_path)
    folder.prepare()
    folder.write_runtime(Runtime(2**22 + 1, "http://127.0.0.1:1", 2, 3, {}, {}))
    with pytest.raises(EmbeddedError, match="No Salingjaga runs in"):
        folder.runtime()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = DataDir(tmp_path)
    folder.prepare()
    (tmp_path / "credentials.json").write_text("{")
    with pytest.raises(EmbeddedError, match=r"credentials\.json cannot be read"):
        folder.credentials()


def test_loopback_is_kept_away_from_any_proxy() -> None:
    assert without_proxy({"NO_PROXY": "example.id"})["no_proxy"] == "example.id,127.0.0.1,localhost"
    assert without_proxy({})["NO_PROXY"] == "127.0.0.1,localhost"


def test_a_folder_of_an_older_version_keeps_its_credentials_and_gains_what_it_lacks(tmp_path: Path) -> None:
    first = DataDir(tmp_path / "data")
    known = first.prepare()
    path = tmp_path / "data" / "credentials.json"
    old = {name: value for name, value in json.loads(path.read_text()).items() if name != "alerts_token"}
    path.write_text(json.dumps(old))
    assert first.credentials().alerts_token == ""
    now = DataDir(tmp_path / "data")
    first._lock.close()  # type: ignore[union-attr]
    after = now.prepare()
    assert after.alerts_token
    assert after.alert_link_key == known.alert_link_key
    assert path.stat().st_mode & 0o077 == 0


def test_master_keys_are_made_once_and_a_folder_that_lost_them_is_noticed(tmp_path: Path) -> None:
    first = DataDir(tmp_path)
    first.prepare()
    assert not first.keys_were_missing
    made = read_key_file(first.keys)
    first.keys.unlink()
    del first  # that system has ended and given the folder back
    again = DataDir(tmp_path)
    again.prepare()
    assert again.keys_were_missing
    assert read_key_file(again.keys).active != made.active
