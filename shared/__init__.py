"""What two or more services need: contracts, settings, the bus, the warehouse, regions, observability.

`shared` knows no service; services meet only in the messages of `shared.contracts`.
"""
