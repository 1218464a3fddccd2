"""The three things a service may do about a fault: wait, put the message aside, or stop."""


class DependencyAwayError(Exception):
    """Something the service needs does not answer. The batch is kept and tried again, for as long as it takes."""


class UnprocessableError(Exception):
    """This one message can never be processed. It goes to quarantine with these words."""


class SenderAtFaultError(UnprocessableError):
    """The same, where the fault was known to be the sender's when the message was taken in.

    However many there are, they say nothing about the service: it does not stop because of them.
    """


class ServiceBrokenError(Exception):
    """Everything fails, so the service is at fault and not the messages. It stops, loudly."""
