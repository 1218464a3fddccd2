"""What is wrong with the configuration, said so that the reader can mend it."""


class ConfigError(Exception):
    """The configuration cannot be used; the message names the file, the place and the cure."""
