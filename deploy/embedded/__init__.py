"""The whole system on one machine, nothing to install: a supervisor, a bundled Redis, an embedded ClickHouse."""
