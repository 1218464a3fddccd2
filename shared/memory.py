"""What the garbage collector should know of a process that loads much once and then works in batches."""

import gc

_OBJECTS_BEFORE_A_COLLECTION = 50_000


def settle_memory() -> None:
    """To be called once everything is loaded.

    What was loaded (regions, rules) lives as long as the process: walking it again at every full collection costs
    pauses and finds nothing. And a batch makes thousands of objects that die together, without a cycle among them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BEFORE_A_COLLECTION)
