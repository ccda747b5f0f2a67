"""What can go wrong between us and the broker. Nothing is lost by it: the sweep rings again."""


class BrokerUnavailable(Exception):
    """A ticket could not be published, or a queue could not be looked at."""


class QueueFull(BrokerUnavailable):
    """The broker is there and refused the ticket: the queue holds as many as it may."""
