"""How often one client may ask for one path: a bucket for each of the two, refilled steadily."""

from collections import OrderedDict
from dataclasses import dataclass

MOST_BUCKETS = 8192


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Limiter:
    """Lets through *steady* requests a second, and *burst* at once, of each client for each path.

    Never keeps more than *most* buckets, whatever paths are made up: one that has filled up again is like a new one
    and is dropped, and where none has, the one that was asked for least lately goes.
    """

    def __init__(self, steady: float, burst: int, most: int = MOST_BUCKETS) -> None:
        self.steady = steady
        self._burst = burst
        self._most = most
        self._buckets: OrderedDict[int, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def lets(self, client: str, path: str, now: float) -> bool:
        """May *client* ask for *path* now? Counts the request if so. *now* is in seconds of a monotonic clock."""
        self._drop_full(now)
        key = hash((client, path))  # the paths may be long, and hold ids: neither is kept
        bucket = self._buckets.pop(key, None) or _Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self.steady)
        bucket.at = now
        self._buckets[key] = bucket
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _drop_full(self, now: float) -> None:
        fills_within = self._burst / self.steady
        for _ in range(2):  # each request makes at most one: two at a time keep up, and none takes long
            oldest = next(iter(self._buckets.items()), None)
            if oldest is None or (now - oldest[1].at < fills_within and len(self._buckets) < self._most):
                return
            del self._buckets[oldest[0]]
