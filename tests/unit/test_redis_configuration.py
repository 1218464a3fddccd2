from pathlib import Path

from deploy.embedded.redis_server import write_config


def test_the_bundled_redis_listens_to_this_machine_alone_asks_a_password_and_hides_it(tmp_path: Path) -> None:
    path = tmp_path / "redis.conf"
    write_config(path, folder=tmp_path, port=6379, password="rahasia")
    lines = path.read_text().splitlines()
    assert "bind 127.0.0.1" in lines
    assert "requirepass rahasia" in lines
    assert path.stat().st_mode & 0o077 == 0
