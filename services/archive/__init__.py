"""Archive: writes assessments, alert events and deliveries into ClickHouse, in batches, exactly once in effect."""
