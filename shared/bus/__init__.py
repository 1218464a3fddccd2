"""Redis streams as the services use them: topology, consumers that lose nothing, trimming, quarantine, receipts."""
