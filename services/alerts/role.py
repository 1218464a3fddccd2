"""Where an officer stands."""

from enum import StrEnum


class Role(StrEnum):
    """An officer's place; a head is told when an alert escalates, operators look after the system itself."""

    PANWASCAM = "panwascam"
    REGENCY = "regency"
    PROVINCE = "province"
    NATIONAL = "national"
    HEAD = "head"
    OPERATOR = "operator"
