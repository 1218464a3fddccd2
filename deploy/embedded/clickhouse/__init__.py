"""ClickHouse on one machine without installing it: the engine in this process, its own HTTP interface around it.

Only one process may open the engine's folder, so this package opens it once and serves it on loopback. Every client
that speaks to a ClickHouse server over HTTP speaks to this one: the services, clickhouse-connect, curl, an analyst's
tool. Run it with ``python -m deploy.embedded.clickhouse --data-dir DIR --port N --credentials FILE``.
"""
