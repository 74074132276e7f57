"""A watch that can be stopped and started again: seconds on the wall, and those that the processor worked.

With one thread the two are the same on a core that nobody else uses. On a busy machine only the second says what the
work takes. What is short and can be repeated is timed by torch.utils.benchmark; this is for what runs once, and pauses:
a whole training.
"""

from __future__ import annotations

import time


class Stopwatch:
    """Runs inside ``with``, stands still outside.

    >>> watch = Stopwatch()
    >>> with watch:
    ...     _ = sum(range(1000))
    >>> sorted(watch.seconds())
    ['processor', 'wall']
    """

    def __init__(self) -> None:
        self.wall = self.processor = 0.0

    def __enter__(self) -> Stopwatch:
        self.wall -= time.perf_counter()
        self.processor -= time.process_time()
        return self

    def __exit__(self, *error: object) -> None:
        self.wall += time.perf_counter()
        self.processor += time.process_time()

    def seconds(self) -> dict[str, float]:
        """What the watch shows, while it stands still."""
        return {"wall": self.wall, "processor": self.processor}
