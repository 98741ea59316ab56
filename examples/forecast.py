"""Writes examples/forecast.csv: the hourly load of two towns, with a daily and a weekly cycle.

python examples/forecast.py
tui-trainer train examples/forecast.yaml
"""

import csv
import math
import random
from datetime import datetime, timedelta
from pathlib import Path

FIRST = datetime(2025, 1, 1)
HOURS = 24 * 7 * 8


def load_of(town: int, hour: int) -> float:
    """The load in MW: a trend, the two cycles, and noise."""
    day = math.sin(2 * math.pi * (hour % 24 - 8) / 24)
    weekend = -8 if hour // 24 % 7 > 4 else 0
    return 50 + 30 * town + hour / 200 + 12 * day + weekend + random.gauss(0, 1.5)


if __name__ == "__main__":
    random.seed(0)
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["town", "time", "load"])
        for hour in range(HOURS):
            for town, name in enumerate(("Ahlen", "Borken")):
                time = f"{FIRST + timedelta(hours=hour):%Y-%m-%d %H:%M}"
                writer.writerow([name, time, round(load_of(town, hour), 1)])
