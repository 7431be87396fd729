"""How long to wait before an image is fetched again that could not be."""

FIRST, LONGEST = 2.0, 300.0


def wait_after(failures: int) -> float:
    """Seconds to wait after so many failures in a row: twice as long each time."""
    return float(min(LONGEST, FIRST * 2 ** min(failures - 1, 16)))
